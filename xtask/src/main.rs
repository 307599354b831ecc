//! `cargo xtask <word>`: one word per job of working on Tidegate.

mod bench;
mod build;
mod dist;
mod lint;
mod marked;
mod paths;
mod process;
mod render;
mod setup;
mod staging;
mod stats_tags;
mod test;
mod up;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about, long_about = None, disable_help_subcommand = true)]
/// Builds, runs, tests and measures Tidegate's filters.
struct Cli {
    #[command(subcommand)]
    word: Word,
}

#[derive(Subcommand, Debug)]
enum Word {
    /// Make ready what the other words need: wasm32's standard library, Envoy, Node, wasm-opt, and what tests run beside
    /// Envoy.
    Setup(setup::Setup),
    /// Compile the filters to `target/wasm/tidegate_FILTER.wasm`.
    Build(build::Build),
    /// Make what is released: modules, the names of their functions, bills of materials, images, digests.
    Dist(dist::Dist),
    /// Run all four filters in a real Envoy, with requests to try.
    Up(up::Args),
    /// Run the tests.
    Test(test::Test),
    /// Check formatting, lints, documentation, who depends on whom, sizes and links.
    Lint(lint::Lint),
    /// Print the manifest for a filter's configuration, for any host, or make all of `envoy-config/` anew.
    Render(render::Render),
    /// Measure what each filter adds to a request.
    Bench(bench::Bench),
    /// Print what Envoy and Istio must be told for the labels of a telemetry configuration to arrive.
    StatsTags(stats_tags::StatsTags),
}

fn main() -> ExitCode {
    let done = match Cli::parse().word {
        Word::Setup(setup) => setup.run(),
        Word::Build(build) => build.run().map(drop),
        Word::Dist(dist) => dist.run(),
        Word::Up(up) => up.run(),
        Word::Test(test) => match test.run() {
            // Its last line has told; nothing may follow it.
            Ok(false) => return ExitCode::FAILURE,
            done => done.map(drop),
        },
        Word::Lint(lint) => lint.run(),
        Word::Render(render) => render.run(),
        Word::Bench(bench) => bench.run(),
        Word::StatsTags(stats_tags) => stats_tags.run(),
    };
    finish(done)
}

fn finish(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error as people read it: first what is wrong and what to do, then why, from the outermost cause in.
fn told(error: &anyhow::Error) -> String {
    let causes = error.chain().skip(1).map(|cause| format!("\n  because: {cause}"));
    format!("error: {error}{}", causes.collect::<String>())
}
