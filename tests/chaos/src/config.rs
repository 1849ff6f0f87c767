//! The command line. The only place that reads the environment.

use std::{env, path::PathBuf};

use clap::{Parser, ValueEnum};

use crate::failure::{Failure, setup};

/// Which provider runs the sandboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Namespaces of this machine.
    Local,
    /// Containers of a Docker Engine of this machine.
    Container,
    /// Sandboxes of an E2B that is emulated on this machine, and never killed: it is the cloud.
    E2b,
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Two gateways on one store and the provider, while sandboxes come and go: nothing is made
    /// twice, left behind or forgotten.
    Life,
    /// The gateway, the provider, or both: nothing may be lost.
    Servers,
    /// The runner of a sandbox, which of local and container is its first process: what ran is lost,
    /// and said to be.
    Runner,
}

/// Kills gateways and provider (or the runner of a sandbox) at random moments while sandboxes come and
/// go and commands run, and checks that nothing is made twice, left behind or lost.
///
/// Ends with 0 if all was kept, 1 if a rule of the contract was broken, 2 if it could not run.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Provider to run
    #[arg(long, value_enum, default_value_t = Kind::Local)]
    pub provider: Kind,
    /// Image of the sandbox, not of E2B's, which have none; it needs sh, seq, cat and sleep [default:
    /// the provider's]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// What to kill
    #[arg(long, value_enum, default_value_t = Fault::Life)]
    pub fault: Fault,
    /// Kills of fault `life`
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub kills: u64,
    /// Rounds of the other faults, each with its own commands and kills
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub rounds: u64,
    /// Where the random numbers begin [default: another one each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Folder with the programs [default: where this one is]
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Provider to run.
    pub provider: Kind,
    /// Image of the sandbox. Unset: the provider's default.
    pub image: Option<String>,
    /// What to kill.
    pub fault: Fault,
    /// How many kills, of fault `life`.
    pub kills: u64,
    /// How many rounds, of the others.
    pub rounds: u64,
    /// Where the random numbers begin.
    pub seed: u64,
    /// Folder with the programs.
    pub programs: PathBuf,
}

impl Args {
    /// What the arguments mean.
    ///
    /// # Errors
    /// Where no folder is given and this program's own cannot be found, and where the provider has
    /// no images and one is given.
    pub fn options(self) -> Result<Options, Failure> {
        let own = || {
            let own = env::current_exe().ok();
            own.and_then(|own| Some(own.parent()?.to_owned()))
        };
        let programs = self.programs.or_else(own);
        if self.provider == Kind::E2b && self.image.is_some() {
            return Err(setup(
                "E2B makes sandboxes from templates: leave --image out",
            ));
        }
        Ok(Options {
            provider: self.provider,
            image: self.image,
            fault: self.fault,
            kills: self.kills,
            rounds: self.rounds,
            seed: self.seed.unwrap_or_else(any_seed),
            programs: programs
                .ok_or_else(|| setup("cannot tell where the programs are: give --programs"))?,
        })
    }
}

/// Short enough to be typed again.
fn any_seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0 % 1_000_000
}

/// Settings of this machine that the programs under test must not take over.
pub(crate) fn foreign_settings() -> Vec<String> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| name.starts_with("SANDGATE_")).collect()
}

impl Kind {
    /// Its id in the gateway's configuration.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Container => "container",
            Self::E2b => "e2b",
        }
    }

    /// Its program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Local => "sandgate-provider-local",
            Self::Container => "sandgate-provider-container",
            Self::E2b => "sandgate-provider-e2b",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_reaches_the_options() {
        let line = "x --provider container --image i --fault runner --kills 9 --rounds 3 --seed 7 --programs /p";
        let options = Args::parse_from(line.split(' ')).options().unwrap();
        assert_eq!((options.kills, options.rounds, options.seed), (9, 3, 7));
        assert_eq!(options.provider, Kind::Container);
        assert_eq!(options.fault, Fault::Runner);
        assert_eq!(options.image.as_deref(), Some("i"));
        assert_eq!(options.programs, PathBuf::from("/p"));
    }

    #[test]
    fn e2b_has_no_images() {
        let options = |line: &str| Args::parse_from(line.split(' ')).options();
        assert_eq!(options("x --provider e2b").unwrap().provider, Kind::E2b);
        assert!(options("x --provider e2b --image i").is_err());
    }

    #[test]
    fn nothing_has_to_be_given() {
        let options = Args::parse_from(["x"]).options().unwrap();
        assert_eq!((options.rounds, options.fault), (100, Fault::Life));
        assert_eq!(options.kills, 500);
        assert!(options.programs.is_dir());
    }
}
