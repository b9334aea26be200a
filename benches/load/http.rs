//! One keep-alive connection: a request as bytes, an answer as status, tag and content.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Header fields of an answer that are looked at.
const FIELDS_MAX: usize = 48;

/// A connection with its buffers.
pub(crate) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
    content: std::ops::Range<usize>,
    answers_head: bool,
    etag: Option<std::ops::Range<usize>>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            request: Vec::with_capacity(4096),
            answer: Vec::with_capacity(16 * 1024),
            content: 0..0,
            answers_head: false,
            etag: None,
        })
    }

    /// Sends a request and reads its answer; the status.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        target: &str,
        fields: &str,
        content: &[u8],
    ) -> io::Result<u16> {
        use std::io::Write as _;
        self.request.clear();
        self.answers_head = method == "HEAD";
        write!(
            self.request,
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}"
        )?;
        if !content.is_empty() {
            write!(
                self.request,
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                content.len()
            )?;
        }
        self.request.extend_from_slice(b"\r\n");
        self.request.extend_from_slice(content);
        self.stream.write_all(&self.request).await?;
        self.receive().await
    }

    /// The content of the last answer.
    pub(crate) fn content(&self) -> &[u8] {
        &self.answer[self.content.clone()]
    }

    /// The `ETag` of the last answer.
    pub(crate) fn etag(&self) -> Option<&str> {
        let etag = self.etag.clone()?;
        std::str::from_utf8(&self.answer[etag]).ok()
    }

    async fn receive(&mut self) -> io::Result<u16> {
        self.answer.clear();
        let (status, head, framing) = loop {
            self.read_some().await?;
            if let Some(found) = self.head()? {
                break found;
            }
        };
        match framing {
            Framing::Length(length) => {
                while self.answer.len() < head + length {
                    self.read_some().await?;
                }
                self.content = head..head + length;
            }
            Framing::Chunked => self.receive_chunks(head).await?,
        }
        Ok(status)
    }

    async fn read_some(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.answer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Joins the chunks where they are, behind the head.
    async fn receive_chunks(&mut self, head: usize) -> io::Result<()> {
        let (mut next, mut end) = (head, head);
        loop {
            let parsed = httparse::parse_chunk_size(&self.answer[next..]);
            let parsed = parsed.map_err(|_| io::Error::other("a chunk without a size"))?;
            let httparse::Status::Complete((line, size)) = parsed else {
                self.read_some().await?;
                continue;
            };
            let size = usize::try_from(size).map_err(io::Error::other)?;
            let begin = next + line;
            while self.answer.len() < begin + size + 2 {
                self.read_some().await?;
            }
            self.answer.copy_within(begin..begin + size, end);
            end += size;
            next = begin + size + 2;
            if size == 0 {
                self.content = head..end;
                return Ok(());
            }
        }
    }

    /// Status, length of the head and what comes behind it, once the head is complete.
    fn head(&mut self) -> io::Result<Option<(u16, usize, Framing)>> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut answer = httparse::Response::new(&mut fields);
        let parsed = answer.parse(&self.answer).map_err(io::Error::other)?;
        let httparse::Status::Complete(head) = parsed else {
            return Ok(None);
        };
        let mut framing = Framing::Length(0);
        self.etag = None;
        for field in answer.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(field.value).unwrap_or_default();
                framing = Framing::Length(text.parse().map_err(io::Error::other)?);
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Framing::Chunked;
            } else if field.name.eq_ignore_ascii_case("etag") {
                let start = field.value.as_ptr() as usize - self.answer.as_ptr() as usize;
                self.etag = Some(start..start + field.value.len());
            }
        }
        let status = answer.code.unwrap_or_default();
        if self.answers_head || status == 304 {
            framing = Framing::Length(0);
        }
        Ok(Some((status, head, framing)))
    }
}

/// Where the content of an answer ends.
enum Framing {
    Length(usize),
    Chunked,
}
