//! Asks for the folder and the template of a new site.

use std::io::{self, BufRead, IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::bail;
use clap::ValueEnum as _;

use super::Template;

/// The folder that Enter chooses.
const DIR: &str = "my-site";
/// A person who gives this many answers that are none wants to stop.
const TRIES_MAX: u32 = 5;

/// Asks on the terminal, if there is one.
pub(super) fn ask(template: Option<Template>) -> anyhow::Result<(PathBuf, Template)> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        bail!(
            "name the folder of the new site, for example `sluice new my-site`; \
             `--template blog` begins with a blog, and `sluice new --help` lists the templates"
        );
    }
    let mut answers = io::stdin().lock();
    let template = match template {
        Some(template) => template,
        None => ask_template(&mut answers)?,
    };
    let dir = answer(&mut answers, &format!("Folder [{DIR}]: "))?;
    Ok((PathBuf::from(if dir.is_empty() { DIR.to_owned() } else { dir }), template))
}

fn ask_template(answers: &mut impl BufRead) -> anyhow::Result<Template> {
    eprintln!("What does the site begin with?\n");
    for (at, template) in Template::value_variants().iter().enumerate() {
        eprintln!("  {}  {:<8} {}", at + 1, template.name(), template.help());
    }
    eprintln!();
    for _ in 0..TRIES_MAX {
        let given = answer(answers, "Number or name [1, plain]: ")?;
        if let Some(template) = Template::chosen(&given) {
            return Ok(template);
        }
        eprintln!("There is no template with this number or name.");
    }
    bail!("no template was chosen; `sluice new my-site --template NAME` names one")
}

/// Prints a question, and reads a line. Fails at the end of the input.
fn answer(answers: &mut impl BufRead, question: &str) -> anyhow::Result<String> {
    eprint!("{question}");
    io::stderr().flush()?;
    let mut line = String::new();
    if answers.read_line(&mut line)? == 0 {
        eprintln!();
        bail!("nothing was created, because the input ended");
    }
    Ok(line.trim().to_owned())
}

impl Template {
    /// The template that an answer chooses: by its number, by its name, or plain by default.
    fn chosen(answer: &str) -> Option<Template> {
        if answer.is_empty() {
            return Some(Template::Plain);
        }
        let by_number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let by_number = by_number.and_then(|at| Template::value_variants().get(at).copied());
        by_number.or_else(|| Template::from_str(answer, true).ok())
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The description that `--help` prints, too.
    fn help(self) -> String {
        let value = self.to_possible_value();
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_by_number_or_name_and_plain_by_default() {
        for (answer, chosen) in [
            ("", Some(Template::Plain)),
            ("1", Some(Template::Plain)),
            ("2", Some(Template::Blog)),
            ("5", Some(Template::Api)),
            ("Funnel", Some(Template::Funnel)),
            ("0", None),
            ("6", None),
            ("blogs", None),
        ] {
            assert_eq!(Template::chosen(answer), chosen, "{answer:?}");
        }
    }

    #[test]
    fn asks_again_and_stops_at_the_end_of_the_input() {
        let template = ask_template(&mut "nothing\nmembers\n".as_bytes());
        assert_eq!(template.ok(), Some(Template::Members));
        assert!(ask_template(&mut "".as_bytes()).is_err());
        assert!(ask_template(&mut "x\n".repeat(9).as_bytes()).is_err());
    }
}
