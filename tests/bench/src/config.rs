//! The command line of the benchmark.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum, builder::PossibleValue};

use crate::{control, exec, life};

/// Measures Sandgate beside what it is compared with, in the same run: its hop beside nginx, what
/// its checks cost a call, its executions beside the Docker exec API and bubblewrap
#[derive(Debug, Parser)]
#[command(name = "sandgate-bench", version)]
pub(crate) struct Args {
    /// What this process is, where it is not the benchmark itself
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// How to measure
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// The parts that the benchmark starts as processes of their own.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The provider that the hop is measured over
    #[command(hide = true)]
    Provider(ProviderArgs),
}

/// What the provider says that it has.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ProviderArgs {
    /// Sandboxes that it lists; without, it does not answer with any list
    #[arg(long)]
    pub(crate) lists: Option<u32>,
    /// All of them but the first are stopped
    #[arg(long)]
    pub(crate) stopped: bool,
}

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Rounds; in each, every figure is taken once for each way that it compares
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Take only these figures, or those of these groups
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Choice>,
    /// Connections of the client for the requests in flight, the same for each way
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) connections: u16,
    /// Sandboxes in the fuller store of the group life; its figures are due for 100,000
    #[arg(long, default_value_t = life::SANDBOXES, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(crate) sandboxes: u32,
    /// Gateway to measure; by default it is built now with cargo, in release
    #[arg(long, value_name = "FILE")]
    pub(crate) gateway: Option<PathBuf>,
    /// Provider of containers to measure; by default it is built now, too
    #[arg(long, value_name = "FILE")]
    pub(crate) provider_container: Option<PathBuf>,
    /// Local provider to measure; by default it is built now, too
    #[arg(long, value_name = "FILE")]
    pub(crate) provider_local: Option<PathBuf>,
    /// nginx to measure
    #[arg(long, value_name = "FILE", default_value = "/usr/sbin/nginx")]
    pub(crate) nginx: PathBuf,
    /// Worker processes of nginx
    #[arg(long, default_value_t = 1)]
    pub(crate) nginx_workers: u16,
    /// Socket of the Docker Engine, which must be on this machine
    #[arg(long, value_name = "FILE", default_value = "/var/run/docker.sock")]
    pub(crate) docker: PathBuf,
    /// Image of the containers; has sh and coreutils
    #[arg(
        long,
        env = "SANDGATE_TEST_IMAGE",
        default_value = "sandgate-test:bookworm"
    )]
    pub(crate) image: String,
    /// The program bubblewrap to measure
    #[arg(long, value_name = "FILE", default_value = "/usr/bin/bwrap")]
    pub(crate) bwrap: PathBuf,
}

impl RunArgs {
    /// The figures of the hop that are wanted.
    pub(crate) fn hop_figures(&self) -> Vec<Figure> {
        let wanted = |figure: &Figure| self.wants(Choice::Hop, Choice::OfHop(*figure));
        Figure::ALL.into_iter().filter(wanted).collect()
    }

    /// The figures of executions that are wanted.
    pub(crate) fn exec_figures(&self) -> Vec<exec::Figure> {
        let wanted = |figure: &exec::Figure| {
            let group = match figure.is_of_files() {
                true => Choice::Files,
                false => Choice::Exec,
            };
            self.wants(group, Choice::OfExec(*figure))
        };
        let all = exec::Figure::value_variants().iter().copied();
        all.filter(wanted).collect()
    }

    /// The figures of authorisation and lookup that are wanted.
    pub(crate) fn control_figures(&self) -> Vec<control::Figure> {
        let wanted =
            |figure: &control::Figure| self.wants(Choice::Control, Choice::OfControl(*figure));
        let all = control::Figure::value_variants().iter().copied();
        all.filter(wanted).collect()
    }

    /// The figures of many sandboxes that are wanted.
    pub(crate) fn life_figures(&self) -> Vec<life::Figure> {
        let wanted = |figure: &life::Figure| self.wants(Choice::Life, Choice::OfLife(*figure));
        let all = life::Figure::value_variants().iter().copied();
        all.filter(wanted).collect()
    }

    fn wants(&self, group: Choice, figure: Choice) -> bool {
        self.only.is_empty() || self.only.iter().any(|one| *one == group || *one == figure)
    }
}

/// What can be chosen: a group of figures, or one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// All of the hop.
    Hop,
    /// All of authorisation and lookup.
    Control,
    /// All of executions and sandboxes.
    Exec,
    /// All of many sandboxes.
    Life,
    /// All of files.
    Files,
    /// One of the hop.
    OfHop(Figure),
    /// One of authorisation and lookup.
    OfControl(control::Figure),
    /// One of executions and sandboxes.
    OfExec(exec::Figure),
    /// One of many sandboxes.
    OfLife(life::Figure),
}

impl ValueEnum for Choice {
    fn value_variants<'a>() -> &'a [Self] {
        use {control::Figure as C, exec::Figure as E, life::Figure as L};
        &[
            Self::Hop,
            Self::Control,
            Self::Exec,
            Self::Life,
            Self::Files,
            Self::OfHop(Figure::Latency),
            Self::OfHop(Figure::Rate),
            Self::OfHop(Figure::Stream),
            Self::OfControl(C::Cached),
            Self::OfControl(C::Uncached),
            Self::OfExec(E::True),
            Self::OfExec(E::InFlight),
            Self::OfExec(E::Containers),
            Self::OfExec(E::Stdout),
            Self::OfExec(E::Warm),
            Self::OfExec(E::Cold),
            Self::OfExec(E::Local),
            Self::OfExec(E::Idle),
            Self::OfExec(E::Memory),
            Self::OfExec(E::FileIn),
            Self::OfExec(E::FileOut),
            Self::OfExec(E::FileMemory),
            Self::OfLife(L::Stopped),
            Self::OfLife(L::Running),
            Self::OfLife(L::Pass),
            Self::OfLife(L::Looks),
            Self::OfLife(L::Reconcile),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Hop => Some(PossibleValue::new("hop").help("Group: latency, rate, stream")),
            Self::Control => Some(PossibleValue::new("control").help("Group: cached, uncached")),
            Self::Exec => {
                Some(PossibleValue::new("exec").help("Group: all from `true` to `memory`"))
            }
            Self::Files => {
                Some(PossibleValue::new("files").help("Group: file-in, file-out, file-memory"))
            }
            Self::Life => Some(PossibleValue::new("life").help("Group: all from `stopped` on")),
            Self::OfHop(figure) => figure.to_possible_value(),
            Self::OfControl(figure) => figure.to_possible_value(),
            Self::OfExec(figure) => figure.to_possible_value(),
            Self::OfLife(figure) => figure.to_possible_value(),
        }
    }
}

/// What is measured of the hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Figure {
    /// Median time of a unary call, one at a time
    Latency,
    /// Unary calls a second with 64 in flight
    Rate,
    /// Bytes a second of one server stream
    Stream,
}

impl Figure {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 3] = [Self::Latency, Self::Rate, Self::Stream];

    /// Whether a smaller figure is the better one.
    pub(crate) fn smaller_is_better(self) -> bool {
        self == Self::Latency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(only: &[&str]) -> (usize, usize, Vec<exec::Figure>) {
        let args = ["bench"].iter().chain(only);
        let run = Args::try_parse_from(args).unwrap().run;
        let (hop, control) = (run.hop_figures(), run.control_figures());
        (hop.len(), control.len(), run.exec_figures())
    }

    #[test]
    fn figures_are_chosen_one_by_one_or_as_a_group() {
        let all = exec::Figure::value_variants();
        assert_eq!(chosen(&[]), (3, 2, all.to_vec()));
        assert_eq!(chosen(&["--only", "hop"]), (3, 0, vec![]));
        assert_eq!(chosen(&["--only", "control"]), (0, 2, vec![]));
        let (of_files, of_exec) = all.iter().copied().partition(|figure| figure.is_of_files());
        assert_eq!(chosen(&["--only", "exec"]), (0, 0, of_exec));
        assert_eq!(chosen(&["--only", "files"]), (0, 0, of_files));
        let three = chosen(&["--only", "rate,cached,cold"]);
        assert_eq!(three, (1, 1, vec![exec::Figure::Cold]));
        let args = Args::try_parse_from(["bench", "--only", "life"]).unwrap();
        assert_eq!(
            args.run.life_figures(),
            life::Figure::value_variants().to_vec()
        );
    }

    #[test]
    fn every_figure_can_be_chosen() {
        let choices = Choice::value_variants().len();
        let of_control = control::Figure::value_variants().len();
        let of_life = life::Figure::value_variants().len();
        let figures =
            Figure::ALL.len() + of_control + exec::Figure::value_variants().len() + of_life;
        assert_eq!(choices, figures + 5);
    }
}
