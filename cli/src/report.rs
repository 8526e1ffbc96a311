//! What people and programs read about a study. Nothing here changes anything.

pub mod calibration;
pub mod curves;
pub mod explain;
pub mod export;
pub(crate) mod front;
pub mod json;
pub mod plot;
pub mod recommend;
pub mod replay;
pub mod savings;
pub mod text;

#[cfg(test)]
mod tests;
