use super::*;
use ansatz_core::rng::Rng;
use ansatz_core::space::{Domain, Parameter, Scale};
use ansatz_core::{Reading as DomainReading, Value};
use rand::RngExt;
use std::fmt::Debug;
