//! The logs of a sandbox as one stream of lines: what the provider itself has, and the output of
//! executions. Each line says where to go on after it.

mod cursor;
mod executions;
mod known;
mod lines;
mod tail;

use std::{sync::Arc, time::SystemTime};

use futures::{StreamExt as _, stream::SelectAll};
use sandgate_proto::v1::{GetSandboxLogsRequest, LogEntry, LogSource};

use self::{cursor::Cursor, executions::ExecutionLogs};
use crate::{
    CallContext, Kind, LogLine, LogLines, LogQuery, Provider, ProviderError, executions::Executions,
};

type Tagged = std::pin::Pin<
    Box<dyn futures::Stream<Item = (LogSource, Result<LogLine, ProviderError>)> + Send>,
>;

/// Lines of all logs that were asked for.
pub(crate) struct Logs<P> {
    cursor: Cursor,
    provider: SelectAll<Tagged>,
    executions: Option<ExecutionLogs<P>>,
}

/// What was asked for, checked.
struct Asked {
    source: LogSource,
    tail_lines: Option<u32>,
    since: Option<SystemTime>,
    follow: bool,
}

impl<P: Provider> Logs<P> {
    /// Opens the logs that the request names; unspecified: all that there are.
    pub(crate) async fn open(
        provider: &P,
        executions: Arc<Executions<P>>,
        context: CallContext,
        request: GetSandboxLogsRequest,
    ) -> Result<Self, ProviderError> {
        let asked = Asked {
            source: request.source(),
            tail_lines: request.tail_lines,
            since: request.since.map(since).transpose()?,
            follow: request.follow,
        };
        let resumed = !request.cursor.is_empty();
        let cursor = Cursor::read(&request.cursor)?;
        let mut logs = Self {
            provider: SelectAll::new(),
            executions: None,
            cursor,
        };
        for source in [LogSource::System, LogSource::Main] {
            if let Some(lines) = of_provider(
                provider,
                &context,
                &asked,
                source,
                logs.cursor.of(source).to_owned(),
            )
            .await?
            {
                let lines = lines.map(move |line| (source, line));
                logs.provider.push(lines.boxed());
            }
        }
        if matches!(asked.source, LogSource::Unspecified | LogSource::Executions) {
            let tail = asked.tail_lines.filter(|_| !resumed);
            let place = logs.cursor.executions.clone().unwrap_or_default();
            let lines = ExecutionLogs::new(executions, context, place, asked.follow);
            logs.executions = match lines.begin(tail, asked.since).await {
                Ok(lines) => Some(lines),
                // What the provider has can be read while the sandbox is stopped.
                Err(error) if is_stopped(&error) && !logs.provider.is_empty() => None,
                Err(error) => return Err(error),
            };
        }
        Ok(logs)
    }

    /// The next line; none at the end. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Option<LogEntry>, ProviderError> {
        loop {
            tokio::select! {
                biased;
                Some((source, line)) = self.provider.next(), if !self.provider.is_empty() => {
                    return Ok(Some(self.provider_entry(source, line?)));
                }
                found = next_of(&mut self.executions), if self.executions.is_some() => {
                    if let Some((mut entry, place)) = found? {
                        self.cursor.executions = Some(place);
                        entry.cursor = self.cursor.write();
                        return Ok(Some(entry));
                    }
                    self.executions = None;
                }
                else => return Ok(None),
            }
        }
    }

    fn provider_entry(&mut self, source: LogSource, line: LogLine) -> LogEntry {
        self.cursor.set(source, line.cursor);
        LogEntry {
            cursor: self.cursor.write(),
            time: line.time.map(Into::into),
            execution_id: String::new(),
            source: source.into(),
            level: line.level.to_owned(),
            channel: line.channel.into(),
            data: line.data,
        }
    }
}

/// The lines of one of the provider's own logs; none if it was not asked for, or is not there.
async fn of_provider<P: Provider>(
    provider: &P,
    context: &CallContext,
    asked: &Asked,
    source: LogSource,
    cursor: String,
) -> Result<Option<LogLines>, ProviderError> {
    let any = asked.source == LogSource::Unspecified;
    if !any && asked.source != source {
        return Ok(None);
    }
    let query = LogQuery {
        source,
        tail_lines: asked.tail_lines,
        since: asked.since,
        cursor,
        follow: asked.follow,
    };
    match provider.logs(context, query).await {
        Ok(lines) => Ok(Some(lines)),
        Err(error) if any && matches!(error.kind(), Kind::Unsupported(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn next_of<P: Provider>(
    executions: &mut Option<ExecutionLogs<P>>,
) -> Result<Option<(LogEntry, cursor::Place)>, ProviderError> {
    match executions {
        Some(executions) => executions.next().await,
        None => Ok(None),
    }
}

fn is_stopped(error: &ProviderError) -> bool {
    matches!(error.kind(), Kind::NotRunning | Kind::SandboxGone)
}

fn since(time: prost_types::Timestamp) -> Result<SystemTime, ProviderError> {
    SystemTime::try_from(time)
        .map_err(|_| ProviderError::new(Kind::InvalidField("since"), "is no time"))
}
