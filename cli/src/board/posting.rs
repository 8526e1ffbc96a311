//! What is put up for workers: the attempt at a trial, as text. It is the record of an ask, as journals keep it, and where
//! the trial continues a stopped one also its seed and which that is.

use crate::journal::record_text;
use ansatz_core::study::{AskedTrial, Record};
use ansatz_core::{Assignment, Continued, Point, Space, TrialId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a worker needs to know of an attempt besides its number.
#[derive(Clone, Debug, PartialEq)]
pub struct Posting {
    /// What is to be evaluated.
    pub point: Point,
    /// How much of a full evaluation to use.
    pub fidelity: Option<f64>,
    /// The stopped trial that it continues, without its folder: each machine has its own.
    pub continuing: Option<Continuing>,
}

/// Of a trial that continues a stopped one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Continuing {
    /// The stopped one.
    pub continued: Continued,
    /// The seed of both.
    pub seed: u64,
}

/// The text; or why it cannot be written.
pub fn write(point: Point, assignment: &Assignment, space: &Space) -> Result<String, String> {
    let Assignment { trial, fidelity, seed, ref continued, .. } = *assignment;
    let asked = AskedTrial { trial, point, tag: 0, fidelity, prediction: None };
    let record = Record::Asked { member: 0, count: 1, trials: vec![asked], is_exhausted: false };
    let text = record_text::write(record, space)?;
    let Some(continued) = continued else { return Ok(text) };
    let continued = Continued { output_folder: None, ..continued.clone() };
    let more = serde_json::to_value(Continuing { continued, seed }).map_err(|error| error.to_string())?;
    let mut object: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    object["continuing"] = more;
    Ok(object.to_string())
}

/// What the text of a trial says; or what is wrong with it.
pub fn read(text: &str, trial: TrialId, space: &Space) -> Result<Posting, String> {
    #[derive(Deserialize)]
    struct More {
        #[serde(default)]
        continuing: Option<Continuing>,
    }
    let Record::Asked { trials, .. } = record_text::read_asked(text, space)? else {
        return Err("it is no ask".to_owned());
    };
    let asked = trials.into_iter().find(|asked| asked.trial == trial);
    let asked = asked.ok_or_else(|| "it is about another trial".to_owned())?;
    let More { continuing } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(Posting { point: asked.point, fidelity: asked.fidelity, continuing })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::space::Parameter;

    #[test]
    fn an_attempt_is_read_as_it_was_written() {
        let space = Space::of(vec![Parameter::float("x", 0.0, 1.0)]).unwrap();
        let point = Point::new([Some(0.1)]);
        let fresh = Assignment {
            trial: TrialId(7),
            attempt: 2,
            seed: u64::MAX,
            fidelity: Some(3.0),
            time_limit: None,
            output_folder: Some("here".into()),
            continued: None,
        };
        let text = write(point.clone(), &fresh, &space).unwrap();
        let expected = Posting { point: point.clone(), fidelity: Some(3.0), continuing: None };
        assert_eq!(read(&text, TrialId(7), &space), Ok(expected.clone()));
        assert_eq!(read(&text, TrialId(8), &space), Err("it is about another trial".to_owned()));

        let stopped =
            Continued { trial: TrialId(4), attempt: 1, step: 9, output_folder: Some("there".into()) };
        let again = Assignment { continued: Some(stopped.clone()), ..fresh };
        let text = write(point, &again, &space).unwrap();
        let continued = Continued { output_folder: None, ..stopped };
        let continuing = Some(Continuing { continued, seed: u64::MAX });
        assert_eq!(read(&text, TrialId(7), &space), Ok(Posting { continuing, ..expected }));
    }
}
