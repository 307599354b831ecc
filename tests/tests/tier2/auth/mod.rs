//! The auth filter in real Envoys: what scenario files cannot say.

mod in_the_middle;
mod keys;
mod paths;
mod peers;
mod secrets;
mod services;
mod site;

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let all = [
        in_the_middle::trials(),
        keys::trials(),
        paths::trials(),
        peers::trials(),
        secrets::trials(),
        services::trials(),
    ];
    all.into_iter().flatten().collect()
}
