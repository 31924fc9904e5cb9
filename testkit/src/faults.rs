//! Owns `Proxy`: it stands in front of any server, forwards each request, reads the whole answer, and damages it on the
//! way back. It counts how much of it the client took.

use crate::loopback::{self, Asked, Authority, Loopback, Next};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// What happens to an answer on its way back. The server has given it in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It comes this much later.
    Latency(Duration),
    /// It comes complete, one byte at a time.
    ByteByByte,
    /// Headers, and then a byte every 10 ms, for minutes: longer than a client should wait.
    Trickle,
    /// None of it comes, and the connection stays open.
    Hang,
    /// None of it comes, and the connection is closed.
    Close,
    /// None of it comes, and the connection is reset.
    Reset,
    /// Half of its body comes; then the connection is reset.
    ResetInBody,
    /// Half of its body comes; then the connection is closed.
    CutBody,
    /// The same, but no header tells the length of the body.
    CutUnnoticed,
    /// The same with `Transfer-Encoding: chunked`.
    CutChunk,
    /// Half of the status line comes; then the connection is closed.
    CutHead,
    /// The status line comes; then the proxy closes its direction, and still reads.
    HalfClose,
    /// These bytes come instead.
    Garbage(&'static str),
    /// A redirect with this status and target comes instead.
    Redirect(u16, String),
    /// 270 kilobytes come that gzip decodes to 256 megabytes.
    GzipBomb,
    /// An endless number of headers comes.
    EndlessHeaders,
    /// One endless header comes.
    EndlessHeader,
    /// An endless JSON object comes instead.
    EndlessObject {
        /// As `Transfer-Encoding: chunked`.
        chunked: bool,
    },
    /// An endless page comes instead.
    EndlessPage,
    /// The connection for the request has an untrusted certificate, so that the request does not arrive (HTTPS only).
    WrongCertificate,
}

/// A faulty view of another server, on a free port of 127.0.0.1.
pub struct Proxy {
    loopback: Loopback,
    written: Arc<AtomicU64>,
}

impl Proxy {
    /// In front of the server for plain HTTP on this port of 127.0.0.1. `plan` maps the number of a request, counted
    /// from 0, to its fault.
    pub fn http(upstream: u16, plan: impl Fn(usize) -> Fault + Send + Sync + 'static) -> Self {
        let written = Arc::<AtomicU64>::default();
        let loopback = Loopback::http(serve(upstream, "http", Arc::new(plan), written.clone()));
        Self { loopback, written }
    }

    /// The same for HTTPS, with certificates of this authority; the server behind still speaks plain HTTP.
    pub fn https(upstream: u16, authority: &Authority, plan: impl Fn(usize) -> Fault + Send + Sync + 'static) -> Self {
        let (right, wrong) = (authority.server(&["127.0.0.1"]), loopback::self_signed(&["127.0.0.1"]));
        let (written, plan) = (Arc::<AtomicU64>::default(), Arc::new(plan));
        let serve = serve(upstream, "https", plan.clone(), written.clone());
        let certificate =
            move |number| if plan(number) == Fault::WrongCertificate { wrong.clone() } else { right.clone() };
        Self { loopback: Loopback::https_by(certificate, serve), written }
    }

    /// Scheme, host and port.
    pub fn base(&self) -> String {
        self.loopback.url("")
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Asked> {
        self.loopback.requests()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.loopback.connections()
    }

    /// How many bytes of answers the client, or the buffer of a socket, has taken so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }
}

fn serve(
    upstream: u16,
    scheme: &'static str,
    plan: Arc<impl Fn(usize) -> Fault + Send + Sync + 'static>,
    written: Arc<AtomicU64>,
) -> impl Fn(&Asked, &mut dyn Write) -> Next + Send + Sync + 'static {
    move |asked, wire| {
        let Ok(answer) = forward(upstream, scheme, asked) else { return Next::Close };
        let mut wire = Counted { wire, written: &written };
        // A certificate belongs to a connection, so a request with another certificate needs another connection.
        let last = plan(asked.number + 1) == Fault::WrongCertificate;
        // The client may have gone away.
        send_with(&plan(asked.number), &Answer::read(answer, last), &mut wire).unwrap_or(Next::Close)
    }
}

/// The answer of the server behind to this request.
fn forward(upstream: u16, scheme: &str, asked: &Asked) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream))?;
    let body = asked.bytes.len() - asked.body.len();
    let (head, body) = asked.bytes.split_at(body);
    let more = format!("Connection: close\r\nX-Forwarded-Proto: {scheme}\r\n\r\n");
    server.write_all(&[&head[..head.len() - 2], more.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}

struct Answer {
    head: String,
    body: Vec<u8>,
    /// Whether the connection closes after it.
    last: bool,
}

impl Answer {
    fn read(answer: Vec<u8>, last: bool) -> Self {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        let mut head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let closes = head.to_ascii_lowercase().contains("\r\nconnection: close\r\n");
        if last && !closes {
            head.insert_str(head.find("\r\n").unwrap_or_default(), "\r\nConnection: close");
        }
        Self { head, body: answer[end..].to_vec(), last: last || closes }
    }

    fn next(&self) -> Next {
        if self.last { Next::Close } else { Next::Keep }
    }

    fn half(&self) -> &[u8] {
        &self.body[..self.body.len() / 2]
    }
}

fn send_with(fault: &Fault, answer: &Answer, wire: &mut dyn Write) -> io::Result<Next> {
    let head = answer.head.as_bytes();
    let mut send = |parts: &[&[u8]]| wire.write_all(&parts.concat()).and_then(|()| wire.flush());
    match fault {
        // With the wrong certificate no request arrives.
        Fault::None | Fault::WrongCertificate => send(&[head, &answer.body])?,
        Fault::Latency(time) => {
            thread::sleep(*time);
            send(&[head, &answer.body])?;
        }
        Fault::ByteByByte => head.iter().chain(&answer.body).try_for_each(|byte| send(&[&[*byte]]))?,
        Fault::Trickle => {
            send(&[b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"])?;
            for _ in 0..60_000 {
                thread::sleep(Duration::from_millis(10));
                send(&[b" "])?;
            }
        }
        Fault::Hang => return Ok(Next::Hang),
        Fault::Close => return Ok(Next::Close),
        Fault::Reset => return Ok(Next::Reset),
        Fault::ResetInBody => {
            send(&[head, answer.half()])?;
            return Ok(Next::Reset);
        }
        Fault::CutBody => {
            send(&[head, answer.half()])?;
            return Ok(Next::Close);
        }
        Fault::CutUnnoticed => {
            let keep = |line: &&str| !line.to_ascii_lowercase().starts_with("content-length:");
            let head: String = answer.head.split_inclusive("\r\n").filter(keep).collect();
            send(&[head.as_bytes(), answer.half()])?;
            return Ok(Next::Close);
        }
        Fault::CutChunk => {
            let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", answer.body.len());
            send(&[head.as_bytes(), answer.half()])?;
            return Ok(Next::Close);
        }
        Fault::CutHead => {
            send(&[b"HTTP/1.1 200 O"])?;
            return Ok(Next::Close);
        }
        Fault::HalfClose => {
            send(&[b"HTTP/1.1 200 OK\r\n"])?;
            return Ok(Next::HalfClose);
        }
        Fault::Garbage(bytes) => send(&[bytes.as_bytes()])?,
        Fault::Redirect(status, target) => {
            send(&[format!("HTTP/1.1 {status} Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n").as_bytes()])?;
        }
        Fault::GzipBomb => {
            let bomb = gzip_bomb();
            let length = bomb.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
            );
            send(&[head.as_bytes(), &bomb])?;
        }
        Fault::EndlessHeaders => flood(wire, b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n")?,
        Fault::EndlessHeader => flood(wire, b"HTTP/1.1 200 OK\r\nX-A: ", b"aaaaaaaa")?,
        Fault::EndlessObject { chunked: false } => {
            flood(wire, b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{\"a\":\"", b"aaaaaaaa")?;
        }
        Fault::EndlessObject { chunked: true } => {
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{\"a\":\"\r\n";
            flood(wire, head, &[b"40\r\n", &[b'a'; 64][..], b"\r\n"].concat())?;
        }
        Fault::EndlessPage => flood(wire, b"HTTP/1.1 200 OK\r\n\r\n<html>", b"aaaaaaaa")?,
    }
    Ok(answer.next())
}

/// Far more than all buffers between two programs hold, and little enough that a test soon notices a client that reads
/// all of it.
const ENDLESS: usize = 64 << 20;

fn flood(wire: &mut dyn Write, head: &[u8], piece: &[u8]) -> io::Result<()> {
    wire.write_all(head)?;
    let piece = piece.repeat(1024);
    (0..ENDLESS / piece.len()).try_for_each(|_| wire.write_all(&piece))
}

/// The decoded size of [`gzip_bomb`]: `{` and 256 megabytes of spaces.
pub const BOMB_SIZE: u64 = 1 + (256 << 20);

/// An unfinished JSON object of 256 megabytes as gzip (RFC 1952): a brace, and 256 times a megabyte of spaces.
pub fn gzip_bomb() -> Vec<u8> {
    const HEADER: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03";
    const BRACE: &[u8] = b"\x00\x01\x00\xfe\xff{";
    // A block whose trees have a space and `repeat the previous byte 258 times`: each code is one bit, 0.
    const TREES: &[u8] = b"\xec\xc1\x31\x01\x00\x00\x00\xc2\xa0\x2a\xeb\x9f\xd2\x10\xbe\x40\x01";
    const BLOCK_END: &[u8] = b"\x7c\x06\x00\x00\xff\xff";
    const LAST_BLOCK: &[u8] = b"\x01\x00\x00\xff\xff";
    const CRC_AND_SIZE: [[u8; 4]; 2] = [0x4a96_01d9_u32.to_le_bytes(), 0x1000_0001_u32.to_le_bytes()];
    let megabyte = [TREES, &[0; 1015], BLOCK_END].concat();
    [HEADER, BRACE, &megabyte.repeat(256), LAST_BLOCK, CRC_AND_SIZE.as_flattened()].concat()
}

/// Counts the bytes that are taken.
struct Counted<'a> {
    wire: &'a mut dyn Write,
    written: &'a AtomicU64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.wire.write(bytes)?;
        self.written.fetch_add(taken as u64, Ordering::SeqCst);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wire.flush()
    }
}
