//! The service of processes.

mod follow;
mod outlet;
mod start;
mod table;
mod terminal;

use std::sync::Arc;

use connectrpc::{
    ConnectError, InboundStream, RequestContext, Response, ServiceRequest, ServiceResult,
    ServiceStream,
};
use futures::StreamExt as _;
use rustix::process::{Pid, kill_process};
use sandgate_e2b_envd::process::{
    CloseStdinRequest, CloseStdinResponse, ConnectRequest, ConnectResponse, ListRequest,
    ListResponse, PTY, Process, ProcessInfo, ProcessInput, ProcessSelector, SendInputRequest,
    SendInputResponse, SendSignalRequest, SendSignalResponse, Signal, StartRequest, StartResponse,
    StreamInputRequest, StreamInputResponse, UpdateRequest, UpdateResponse, process_input,
    stream_input_request,
};

use self::{
    follow::{Follow, beat},
    table::{Running, Table},
};
use super::{Envd, users};

/// Terminals without a size have this one: columns and rows.
const SIZE: (u16, u16) = (80, 24);

/// The service.
#[derive(Debug)]
pub(super) struct Processes {
    envd: Arc<Envd>,
    table: Arc<Table>,
}

impl Processes {
    pub(super) fn new(envd: Arc<Envd>) -> Self {
        Self {
            envd,
            table: Arc::default(),
        }
    }

    fn find(&self, selector: Option<&ProcessSelector>) -> Result<Arc<Running>, ConnectError> {
        self.table.find(selector, true)
    }
}

/// Columns and rows of a terminal.
fn size(pty: Option<&PTY>) -> (u16, u16) {
    let size = pty.and_then(|pty| pty.size.as_option());
    let number = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    size.map_or(SIZE, |size| (number(size.cols), number(size.rows)))
}

async fn give(running: &Running, input: Option<&ProcessInput>) -> Result<(), ConnectError> {
    match input.and_then(|input| input.input.as_ref()) {
        Some(process_input::Input::Stdin(bytes)) => running.stdin(bytes).await,
        Some(process_input::Input::Pty(bytes)) => running.keys(bytes).await,
        None => Err(ConnectError::unimplemented("invalid input type <nil>")),
    }
}

#[allow(refining_impl_trait, reason = "the answers are no secret")]
impl Process for Processes {
    async fn list(
        &self,
        _: RequestContext,
        _: ServiceRequest<'_, ListRequest>,
    ) -> ServiceResult<ListResponse> {
        let info = |running: Arc<Running>| ProcessInfo {
            config: running.config.clone().into(),
            pid: running.pid,
            tag: running.tag.clone(),
            ..ProcessInfo::default()
        };
        Response::ok(ListResponse {
            processes: self.table.running().into_iter().map(info).collect(),
            ..ListResponse::default()
        })
    }

    async fn start(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, StartRequest>,
    ) -> ServiceResult<ServiceStream<StartResponse>> {
        let user = users::of(&context)?;
        let deadline = context.deadline();
        let request = request.to_owned_message();
        let start = start::Start {
            env: self.envd.env(),
            user,
            deadline,
        };
        let (running, events) = start.run(request, &self.table)?;
        let follow = Follow::new(running.pid, events, beat(&context), deadline);
        Ok(Response::stream(follow.events().map(|event| {
            event.map(|event| StartResponse {
                event: event.into(),
                ..StartResponse::default()
            })
        })))
    }

    async fn connect(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, ConnectRequest>,
    ) -> ServiceResult<ServiceStream<ConnectResponse>> {
        let request = request.to_owned_message();
        // One that ended a moment ago still tells how.
        let running = self.table.find(request.process.as_option(), false)?;
        let events = running.outlet.open();
        let follow = Follow::new(running.pid, events, beat(&context), context.deadline());
        Ok(Response::stream(follow.events().map(|event| {
            event.map(|event| ConnectResponse {
                event: event.into(),
                ..ConnectResponse::default()
            })
        })))
    }

    async fn update(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, UpdateRequest>,
    ) -> ServiceResult<UpdateResponse> {
        let request = request.to_owned_message();
        let running = self.find(request.process.as_option())?;
        if request.pty.is_set() {
            running.resize(size(request.pty.as_option()))?;
        }
        Response::ok(UpdateResponse::default())
    }

    async fn stream_input(
        &self,
        _: RequestContext,
        mut requests: InboundStream<StreamInputRequest>,
    ) -> ServiceResult<StreamInputResponse> {
        use stream_input_request::Event;
        let mut running = None;
        while let Some(request) = requests.next().await {
            match request?.to_owned_message().event {
                Some(Event::Start(start)) => {
                    running = Some(self.find(start.process.as_option())?);
                }
                Some(Event::Data(data)) => {
                    let first = || ConnectError::invalid_argument("start event expected first");
                    let running: &Arc<Running> = running.as_ref().ok_or_else(first)?;
                    give(running, data.input.as_option()).await?;
                }
                Some(Event::Keepalive(_)) | None => {}
            }
        }
        Response::ok(StreamInputResponse::default())
    }

    async fn send_input(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, SendInputRequest>,
    ) -> ServiceResult<SendInputResponse> {
        let request = request.to_owned_message();
        let running = self.find(request.process.as_option())?;
        give(&running, request.input.as_option()).await?;
        Response::ok(SendInputResponse::default())
    }

    async fn send_signal(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, SendSignalRequest>,
    ) -> ServiceResult<SendSignalResponse> {
        let request = request.to_owned_message();
        let running = self.find(request.process.as_option())?;
        let signal = match request.signal.as_known() {
            Some(Signal::SIGNAL_SIGKILL) => rustix::process::Signal::KILL,
            Some(Signal::SIGNAL_SIGTERM) => rustix::process::Signal::TERM,
            _ => return Err(ConnectError::unimplemented("invalid signal")),
        };
        let pid = i32::try_from(running.pid).ok().and_then(Pid::from_raw);
        let gone = |error| ConnectError::internal(format!("error sending signal: {error}"));
        if let Some(pid) = pid {
            kill_process(pid, signal).map_err(gone)?;
        }
        Response::ok(SendSignalResponse::default())
    }

    async fn close_stdin(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, CloseStdinRequest>,
    ) -> ServiceResult<CloseStdinResponse> {
        let request = request.to_owned_message();
        let running = self.find(request.process.as_option())?;
        running.close_stdin().await?;
        Response::ok(CloseStdinResponse::default())
    }
}
