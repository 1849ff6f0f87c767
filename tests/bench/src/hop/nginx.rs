//! nginx as a plain HTTP/2 proxy for gRPC, with a configuration of its own in a temporary folder.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use tokio::{
    net::TcpStream,
    process::Command,
    time::{Duration, Instant, sleep},
};

use crate::{
    child::{Running, START},
    config::RunArgs,
    error::{Result, machine},
};

/// Starts nginx before `provider`; returns when it accepts connections.
pub(crate) async fn start(
    args: &RunArgs,
    folder: &Path,
    provider: SocketAddr,
) -> Result<(Running, SocketAddr)> {
    let address = free_address()?;
    let file = folder.join("nginx.conf");
    fs::write(
        &file,
        configuration(args.nginx_workers, folder, address, provider),
    )
    .map_err(machine("cannot write the configuration of nginx"))?;
    let mut command = Command::new(&args.nginx);
    command
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(&file)
        .arg("-e")
        .arg("stderr");
    let hint = "install it (Debian and Ubuntu: apt-get install nginx), or name it with --nginx";
    let mut nginx = Running::start(&mut command, hint)?;
    let patience = Instant::now() + START;
    while TcpStream::connect(address).await.is_err() {
        nginx.check()?;
        if Instant::now() > patience {
            return Err(nginx.failed("accepts no connections"));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok((nginx, address))
}

/// nginx cannot choose a port by itself.
fn free_address() -> Result<SocketAddr> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(machine("cannot find a free port"))?;
    listener
        .local_addr()
        .map_err(machine("cannot find a free port"))
}

/// No log, no limit on what is sent, connections to the provider kept; the rest is nginx's default.
fn configuration(workers: u16, folder: &Path, own: SocketAddr, provider: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    http2_max_concurrent_streams 10000;
    upstream provider {{
        server {provider};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        listen {own} http2;
        location / {{
            grpc_pass grpc://provider;
            grpc_read_timeout 1h;
            grpc_send_timeout 1h;
        }}
    }}
}}
"
    )
}
