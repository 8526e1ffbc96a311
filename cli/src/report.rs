//! What people and programs read about a study. Nothing here changes anything.

pub mod export;
pub mod json;
pub mod plot;
pub mod text;
