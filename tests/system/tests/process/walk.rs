//! Reads a walk out of a page: shell blocks behind a marker, and what they should print.

/// What a block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `<!-- walk -->`: run in order, in one shell.
    Walk,
    /// `<!-- walk:serve -->`: run beside the others.
    Serve,
}

/// A marked block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    pub(crate) steps: Vec<Step>,
}

/// Commands, and pieces of text that their output has to hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Line of the page on which it begins.
    pub(crate) line: usize,
    pub(crate) commands: String,
    pub(crate) expected: Vec<String>,
}

/// The marked blocks of a page, in order.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        let kind = match line.trim() {
            "<!-- walk -->" => Kind::Walk,
            "<!-- walk:serve -->" => Kind::Serve,
            _ => continue,
        };
        let (number, fence) = lines.next().unwrap_or_default();
        assert_eq!(
            fence.trim(),
            "```sh",
            "line {}: no shell block behind the marker",
            number + 1
        );
        let body = lines.by_ref().take_while(|(_, line)| line.trim() != "```");
        blocks.push(Block {
            kind,
            steps: steps(body),
        });
    }
    blocks
}

fn steps<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in lines {
        if let Some(expected) = line.strip_prefix("#=> ") {
            let step = steps.last_mut().expect("an expectation before any command");
            step.expected.push(expected.trim().to_owned());
            continue;
        }
        if steps.last().is_none_or(|step| !step.expected.is_empty()) {
            steps.push(Step {
                line: number + 1,
                ..Step::default()
            });
        }
        if let Some(step) = steps.last_mut() {
            step.commands.push_str(line);
            step.commands.push('\n');
        }
    }
    steps
}

#[test]
fn only_marked_blocks_are_read() {
    let page = "```sh\nrm -rf /\n```\n<!-- walk -->\n```sh\na \\\n  b\n#=> one\n#=> two\nc\n```\n<!-- walk:serve -->\n```sh\ns\n```\n";
    let blocks = blocks(page);
    let step = |line, commands: &str, expected: &[&str]| Step {
        line,
        commands: commands.to_owned(),
        expected: expected.iter().map(|text| (*text).to_owned()).collect(),
    };
    assert_eq!(
        blocks,
        [
            Block {
                kind: Kind::Walk,
                steps: vec![
                    step(6, "a \\\n  b\n", &["one", "two"]),
                    step(10, "c\n", &[])
                ]
            },
            Block {
                kind: Kind::Serve,
                steps: vec![step(14, "s\n", &[])]
            },
        ]
    );
}
