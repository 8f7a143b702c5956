//! What was typed after `cargo xtask`.

/// What can be typed.
pub(crate) const USAGE: &str = "\
usage: cargo xtask test [--long [--soak MINUTES]] [--only STEP]
       cargo xtask fix

test   checks everything: fmt, clippy, doc, test, tidy, chaos; stops at the first failure
       --long       then crash (a hundred crashes, two thousand flipped bits), chaos-long (every scenario of real
                    processes in full) and fuzz (a minute for each target)
       --soak N     minutes that chaos-long soaks [10]
       --only STEP  only this step, with its parts: 'test' is 'test' and 'test/doc'; long ones can be named too
fix    formats the code";

/// How long the soak takes unless told otherwise: long enough for a leak to show, short enough to wait for.
const SOAK_MINUTES: u32 = 10;

/// A command line that makes sense.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// Run the checks.
    Test(TestOptions),
    /// Format the code.
    Fix,
    /// Tell what can be typed.
    Help,
}

/// Which checks to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// Also those that take minutes.
    pub(crate) long: bool,
    /// How long the soak of real processes takes, in minutes.
    pub(crate) soak_minutes: u32,
    /// Only this step.
    pub(crate) only: Option<String>,
}

impl Default for TestOptions {
    fn default() -> Self {
        Self { long: false, soak_minutes: SOAK_MINUTES, only: None }
    }
}

/// Makes sense of the words, or tells what is wrong with them.
pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Arguments, String> {
    let mut words = words.into_iter();
    let verb = words.next().unwrap_or_else(|| "help".to_owned());
    match verb.as_str() {
        "test" => parse_test(words).map(Arguments::Test),
        "fix" => match words.next() {
            None => Ok(Arguments::Fix),
            Some(word) => Err(format!("'fix' takes nothing, not '{word}'")),
        },
        "help" | "--help" | "-h" => Ok(Arguments::Help),
        other => Err(format!("unknown verb '{other}'")),
    }
}

fn parse_test(mut words: impl Iterator<Item = String>) -> Result<TestOptions, String> {
    let mut options = TestOptions::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--long" => options.long = true,
            "--soak" => {
                let minutes = words.next().and_then(|minutes| minutes.parse().ok());
                options.soak_minutes = minutes.ok_or("'--soak' needs a number of minutes")?;
            }
            "--only" => options.only = Some(words.next().ok_or("'--only' needs the name of a step")?),
            other => return Err(format!("'test' does not know '{other}'")),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_become_options() {
        let only = Some("fmt".to_owned());
        assert_eq!(parsed("test"), Ok(Arguments::Test(TestOptions::default())));
        let options = TestOptions { long: true, soak_minutes: 60, only };
        assert_eq!(parsed("test --long --soak 60 --only fmt"), Ok(Arguments::Test(options)));
        assert_eq!(parsed("fix"), Ok(Arguments::Fix));
        assert_eq!(parsed(""), Ok(Arguments::Help));
    }

    #[test]
    fn words_that_mean_nothing_are_named() {
        assert_eq!(parsed("tset"), Err("unknown verb 'tset'".to_owned()));
        assert_eq!(parsed("test --fast"), Err("'test' does not know '--fast'".to_owned()));
        assert_eq!(parsed("test --only"), Err("'--only' needs the name of a step".to_owned()));
        assert_eq!(parsed("test --soak"), Err("'--soak' needs a number of minutes".to_owned()));
        assert_eq!(parsed("fix it"), Err("'fix' takes nothing, not 'it'".to_owned()));
    }
}
