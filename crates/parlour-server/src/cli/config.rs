use super::Common;
use clap::Subcommand;

/// What to do with the configuration.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration in force, each value with where it came from; secrets masked.
    Print,
    /// Say whether the configuration can be used.
    Check,
    /// Print an example file: every key with its default and what it is for.
    Example,
    /// Print the reference in Markdown: every key with its default, its environment variables and what it is for.
    Reference,
}

pub(super) fn config(common: &Common, command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Print => {
            let layers = common.layers(&[])?;
            let config = layers.config()?;
            if common.json {
                println!("{}", serde_json::to_string_pretty(&config)?);
            } else {
                print!("{}", layers.print());
            }
        }
        ConfigCommand::Check => {
            let config = common.load()?;
            crate::database(&config)?;
            println!("The configuration is good.");
        }
        ConfigCommand::Example => print!("{}", crate::config::example()),
        ConfigCommand::Reference => print!("{}", crate::config::reference()),
    }
    Ok(())
}
