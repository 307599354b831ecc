//! Replays a scenario and collects everything that is not as expected.

use super::check;
use super::file::Scenario;
use super::target::Target;

/// Replays the steps. The error lists every mismatch: file, step, what was expected, what was seen.
pub fn run(file: &str, scenario: &Scenario, target: &mut dyn Target) -> Result<(), String> {
    let mut mismatches = Vec::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        let place = format!("{file}: steps[{index}]");
        if !step.advance.is_zero() {
            target.advance(step.advance);
        }
        for turn in 0..step.repeat {
            let Some(spec) = &step.request else { break };
            let place = if step.repeat > 1 { format!("{place} (turn {})", turn + 1) } else { place.clone() };
            match target.send(&spec.request()) {
                Ok(response) => {
                    let seen = check::response(&step.expect, &response);
                    mismatches.extend(seen.into_iter().map(|mismatch| format!("{place}: {mismatch}")));
                }
                Err(error) => mismatches.push(format!("{place}: no response: {error}")),
            }
        }
        let seen = check::traces(&step.expect, target);
        mismatches.extend(seen.into_iter().map(|mismatch| format!("{place}: {mismatch}")));
    }
    mismatches
        .extend(shown_secrets(scenario, &target.log()).map(|secret| format!("{file}: in the log: {secret}")));
    if mismatches.is_empty() { Ok(()) } else { Err(mismatches.join("\n")) }
}

/// Headers whose values are credentials.
const SECRET: [&str; 5] = ["authorization", "x-api-key", "x-signature", "cookie", "proxy-authorization"];

/// What the log must never hold: the credentials that were sent, and the modules' secrets.
fn shown_secrets(scenario: &Scenario, log: &str) -> impl Iterator<Item = String> {
    /// Shorter texts may stand in a log by chance.
    const LEAST: usize = 10;
    let requests = scenario.steps.iter().filter_map(|step| step.request.as_ref()).map(|spec| spec.request());
    let headers = requests.flat_map(|request| request.headers);
    let credentials = headers
        .filter(|(name, _)| SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret.as_bytes())))
        .filter_map(|(_, value)| String::from_utf8(value).ok());
    let mut secrets: Vec<String> = credentials.chain(scenario.environment.values().cloned()).collect();
    secrets.retain(|secret| secret.len() >= LEAST && log.contains(secret.as_str()));
    secrets.dedup();
    secrets.into_iter()
}

/// Compares the log of a host that refused the configuration with what a `refused` file says.
pub fn refusal(file: &str, scenario: &Scenario, log: &str) -> Result<(), String> {
    let missing = scenario.refused.iter().filter(|text| !log.contains(text.as_str()));
    let mut mismatches: Vec<String> =
        missing.map(|text| format!("{file}: refused: expected in the log: {text}")).collect();
    let present = scenario.log_lacks.iter().filter(|text| log.contains(text.as_str()));
    mismatches
        .extend(present.map(|text| format!("{file}: log_lacks: expected not to be in the log: {text}")));
    if mismatches.is_empty() {
        return Ok(());
    }
    Err(format!("{}\nthe log:\n{log}", mismatches.join("\n")))
}
