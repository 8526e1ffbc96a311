//! What a component says of itself, and what it makes of its options.

use crate::bench::{Bench, refusal_kind};
use crate::case::{Ending, Finding, failed, passed, skipped, warning};
use crate::options;
use crate::problems;
use ansatz_core::Problem;
use ansatz_plugin_host::Role;
use serde_json::{Value, json};

/// The longest summary that fits into a listing.
const SUMMARY_LENGTH_MAX: usize = 200;

pub(super) fn metadata(bench: &Bench<'_>) -> Finding {
    let about = &bench.target.about;
    if let Err(reason) = check_name(&about.name, &about.package) {
        return failed(reason);
    }
    if about.summary.trim().is_empty() {
        return failed("the summary is empty");
    }
    if about.summary.contains(['\n', '\r']) {
        return failed("the summary has several lines");
    }
    match about.role {
        Role::Strategy if problems::kinds(&about.capabilities).is_empty() => {
            return failed("it claims no kind of parameter, so no study can use it");
        }
        Role::Objective if !about.capabilities.is_empty() => {
            return failed("an objective has no capabilities");
        }
        _ => {}
    }
    if about.summary.chars().count() > SUMMARY_LENGTH_MAX {
        return warning(format!("the summary is longer than {SUMMARY_LENGTH_MAX} characters"));
    }
    passed()
}

/// What is wrong with a component's name.
fn check_name(name: &str, package: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if let Some(wrong) = name.chars().find(|c| !is_allowed(*c)) {
        return Err(format!("the name has {wrong:?}: lower-case letters, digits, -, _ and dots are allowed"));
    }
    if name.split('.').any(|part| !part.starts_with(|c: char| c.is_ascii_alphanumeric())) {
        return Err("the name, or a part of it between dots, does not begin with a letter or digit".into());
    }
    if !name.contains('.') && !package.starts_with("ansatz-") {
        return Err(format!("the name has no vendor: com.example.{name} would have one"));
    }
    Ok(())
}

pub(super) fn schema(bench: &Bench<'_>) -> Finding {
    let schema = &bench.target.about.options_schema;
    if let Err(reason) = options::check(schema) {
        return failed(reason);
    }
    let undocumented = options::undocumented(schema);
    if !undocumented.is_empty() {
        return warning(format!("options without a description: {}", undocumented.join(", ")));
    }
    passed()
}

pub(super) fn defaults(bench: &Bench<'_>) -> Finding {
    let schema = &bench.target.about.options_schema;
    let required = options::required(schema);
    let stated = Value::from(options::defaults(schema));
    let problem = fitting_problem(bench)?;
    if !required.is_empty() {
        let Some(Value::Object(given)) = &bench.given.options else {
            return skipped(format!(
                "it needs options ({}): name a manifest with --problem",
                required.join(", ")
            ));
        };
        let mut all = options::defaults(schema);
        all.extend(given.clone());
        return judge(bench, &problem, &Value::from(all), "the defaults of its schema beside what was given");
    }
    // options that the person who checks had to give are what makes an objective fit
    let given = bench.given.options.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    if given.is_empty() {
        judge(bench, &problem, &json!({}), "an empty table")?;
    }
    let mut all = options::defaults(schema);
    all.extend(given);
    judge(bench, &problem, &Value::from(all), &format!("the defaults of its schema, {stated}"))
}

fn judge(bench: &Bench<'_>, problem: &Problem, options: &Value, what: &str) -> Finding {
    match bench.make(problem, options) {
        Ok(()) => passed(),
        Err(error) => failed(format!("it refuses {what}: {error}")),
    }
}

pub(super) fn unknown(bench: &Bench<'_>) -> Finding {
    const UNKNOWN: &str = "no_plugin_has_this_option";
    let problem = match bench.target.about.role {
        Role::Strategy => bench.usual_problem()?,
        Role::EarlyStopping => fitting_problem(bench)?,
        // whether the problem fits does not matter: the option is wrong in any case
        Role::Objective => match fitting_problem(bench) {
            Ok(problem) => problem,
            Err(Ending::Skipped(_)) => match problems::for_objectives().into_iter().next() {
                Some(problem) => problem,
                None => return skipped("there is no problem"),
            },
            Err(other) => return Err(other),
        },
    };
    let mut options = bench.options();
    options[UNKNOWN] = json!(1);
    match bench.make(&problem, &options) {
        Ok(()) => failed(format!("it accepts the option {UNKNOWN}: a typo would go unnoticed")),
        Err(error) if refusal_kind(&error).is_none() => failed(error.to_string()),
        Err(error) if !error.to_string().contains(UNKNOWN) => {
            warning(format!("its refusal does not name the option: {error}"))
        }
        Err(_) => passed(),
    }
}

/// A problem that the component accepts with the options at hand.
fn fitting_problem(bench: &Bench<'_>) -> Result<Problem, Ending> {
    match bench.target.about.role {
        Role::Strategy => bench.usual_problem(),
        Role::Objective => bench.objective().map(|(_, problem)| problem),
        Role::EarlyStopping => super::ruling::problem(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_vendor_and_lower_case() {
        for good in ["com.acme.cma", "org.example.two-step_3"] {
            assert_eq!(check_name(good, "acme-cma"), Ok(()), "{good}");
        }
        assert_eq!(check_name("bayesian", "ansatz-strategy-bayesian"), Ok(()));
        for bad in
            ["bayesian", "Com.acme.cma", "com.acme.c m a", "com..cma", ".cma", "com.acme.", "com.acme.-"]
        {
            assert!(check_name(bad, "acme-cma").is_err(), "{bad}");
        }
    }
}
