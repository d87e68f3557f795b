//! Restarting without closing a socket: the running process starts its successor, hands it every listening socket, and
//! ends only when the successor serves. A successor that fails changes nothing.
//!
//! The two talk over the successor's standard input, a socket pair: the sockets go there (`SCM_RIGHTS`), the word
//! that it is ready comes back. Nothing else is inherited.

use std::{
    ffi::OsString,
    io::{self, IoSlice, IoSliceMut, Write as _},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::parent_id},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::{
    io::AsyncReadExt,
    time::{Instant, sleep, timeout},
};

use crate::sockets::{Socket, Sockets};

/// How this process was started, and its successor will be.
#[derive(Clone, Debug)]
pub struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
}

/// Why there is no successor. It was ended, if it had begun.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// It cannot be started, or nothing can be handed to it.
    #[error("the new process cannot be started")]
    Start(#[from] io::Error),
    /// It ended instead of serving.
    #[error("the new process ended ({0}) before it served; its log says why")]
    Ended(ExitStatus),
    /// It did not serve in time.
    #[error("the new process did not serve within {0:?}")]
    Slow(Duration),
}

impl Program {
    /// This process. To be asked for early: the file may be replaced later, and its successor is what is there then.
    ///
    /// # Errors
    /// When the system does not say where the program is.
    pub fn present() -> io::Result<Self> {
        Ok(Self {
            file: std::env::current_exe()?,
            arguments: std::env::args_os().skip(1).collect(),
        })
    }

    /// Starts a successor and waits until it serves; gives its process id.
    ///
    /// # Errors
    /// When it does not come to serve within `limit`.
    pub async fn succeed(&self, sockets: &Sockets, limit: Duration) -> Result<u32, HandoverError> {
        let (ours, theirs) = UnixStream::pair()?;
        send(&ours, sockets.used())?;
        let mut successor = Successor(Some(
            Command::new(&self.file)
                .args(&self.arguments)
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .env(PREDECESSOR, std::process::id().to_string())
                // These were for this process.
                .env_remove("LISTEN_PID")
                .env_remove("LISTEN_FDS")
                .env_remove("LISTEN_FDNAMES")
                .env_remove("WATCHDOG_PID")
                .spawn()?,
        ));
        ours.set_nonblocking(true)?;
        let mut ours = tokio::net::UnixStream::from_std(ours)?;
        let mut word = [0; READY.len()];
        match timeout(limit, ours.read_exact(&mut word)).await {
            Err(_) => Err(HandoverError::Slow(limit)),
            Ok(Ok(_)) if word == *READY => Ok(successor.release()),
            Ok(Ok(_) | Err(_)) => Err(HandoverError::Ended(successor.end().await?)),
        }
    }
}

/// A process that is not needed unless it is released.
struct Successor(Option<Child>);

impl Successor {
    fn release(&mut self) -> u32 {
        self.0.take().map_or(0, |child| child.id())
    }

    /// Lets it end by itself if it is about to.
    async fn end(&mut self) -> io::Result<ExitStatus> {
        let Some(child) = &mut self.0 else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let since = Instant::now();
        while since.elapsed() < ENDING {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            sleep(BETWEEN_LOOKS).await;
        }
        child.kill()?;
        child.wait()
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // An error says that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Who started this process to go on in its place.
#[derive(Debug)]
pub struct Predecessor(UnixStream);

impl Predecessor {
    /// The predecessor and its sockets, if there is one. The variable alone says nothing: it stays in the environment
    /// of whatever this process starts.
    ///
    /// # Errors
    /// When there is one, and what it hands over cannot be had.
    pub fn of_this_process() -> io::Result<Option<(Self, Sockets)>> {
        let named = std::env::var(PREDECESSOR).ok();
        if named.is_none_or(|id| id != parent_id().to_string()) {
            return Ok(None);
        }
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        stream.set_read_timeout(Some(ENDING))?;
        let sockets = receive(&stream)?;
        Ok(Some((Self(stream), Sockets::inherited(sockets))))
    }

    /// This process serves; the other one may end.
    ///
    /// # Errors
    /// When it is gone already, which does no harm.
    pub fn tell_ready(mut self) -> io::Result<()> {
        self.0.write_all(READY)
    }
}

/// Where a successor finds the id of the process that started it.
const PREDECESSOR: &str = "GATEHOUSE_PREDECESSOR";
const READY: &[u8; 5] = b"ready";
const ENDING: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// Fewer than the system takes in one message (253 on Linux).
const MOST_SOCKETS: usize = 200;
const LONGEST_LIST: usize = 16 * 1024;

/// One message: the key of each socket on a line of its own, and the sockets in that order.
fn send(stream: &UnixStream, sockets: &[Socket]) -> io::Result<()> {
    let keys: Vec<_> = sockets
        .iter()
        .map(|socket| socket.key.as_deref().unwrap_or_default())
        .collect();
    let list = keys.join("\n") + "\n";
    if sockets.len() > MOST_SOCKETS || list.len() > LONGEST_LIST {
        return Err(io::Error::other("there are too many sockets to hand over"));
    }
    let descriptors: Vec<_> = sockets
        .iter()
        .map(|socket| socket.listener.as_fd())
        .collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("there are too many sockets to hand over"));
    }
    let list = [IoSlice::new(list.as_bytes())];
    sendmsg(stream, &list, &mut control, SendFlags::empty())?;
    Ok(())
}

fn receive(stream: &UnixStream) -> io::Result<Vec<Socket>> {
    let mut list = vec![0; LONGEST_LIST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let read = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut list)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let listeners = control
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        })
        .map(TcpListener::from);
    let list = list.get(..read.bytes).unwrap_or_default();
    let list = String::from_utf8_lossy(list).into_owned();
    let sockets = list.lines().zip(listeners).map(|(key, listener)| Socket {
        key: Some(key.to_owned()),
        listener,
    });
    Ok(sockets.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(count: usize) -> Sockets {
        let mut sockets = Sockets::default();
        for _ in 0..count {
            let any = "127.0.0.1:0".parse().unwrap();
            sockets.listen("server.listen", any).unwrap();
        }
        sockets
    }

    #[test]
    fn sockets_arrive_as_they_were() {
        for count in [0, 1, 3, 50] {
            let (here, there) = UnixStream::pair().unwrap();
            let sent = sockets(count);
            send(&here, sent.used()).unwrap();
            let received = receive(&there).unwrap();
            let addresses = |sockets: &[Socket]| -> Vec<_> {
                sockets
                    .iter()
                    .map(|socket| (socket.key.clone(), socket.listener.local_addr().unwrap()))
                    .collect()
            };
            assert_eq!(addresses(&received), addresses(sent.used()));
        }
    }

    fn shell(script: &str) -> Program {
        Program {
            file: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        }
    }

    #[tokio::test]
    async fn a_successor_that_fails_is_named_and_ended() {
        let sockets = sockets(1);
        let long = Duration::from_secs(60);
        let failed = shell("exit 7").succeed(&sockets, long).await;
        assert!(
            matches!(&failed, Err(HandoverError::Ended(status)) if status.code() == Some(7)),
            "{failed:?}"
        );
        let short = Duration::from_millis(50);
        let slow = shell("exec sleep 600").succeed(&sockets, short).await;
        assert!(matches!(slow, Err(HandoverError::Slow(_))), "{slow:?}");
        let wrong = shell("printf maybe >&0; exec sleep 600");
        let wrong = wrong.succeed(&sockets, long).await;
        assert!(matches!(wrong, Err(HandoverError::Ended(_))), "{wrong:?}");
        let missing = Program {
            file: "/nowhere/gatehouse".into(),
            arguments: Vec::new(),
        };
        let missing = missing.succeed(&sockets, long).await;
        assert!(
            matches!(missing, Err(HandoverError::Start(_))),
            "{missing:?}"
        );
    }

    #[tokio::test]
    async fn a_successor_that_serves_is_left_alone() {
        let sockets = sockets(1);
        let long = Duration::from_secs(60);
        // It ends by itself when the test's end of the pair is gone.
        let ready = shell("printf ready >&0; exec cat <&0 >/dev/null");
        assert!(ready.succeed(&sockets, long).await.unwrap() > 0);
    }
}
