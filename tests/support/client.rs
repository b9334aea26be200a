//! A plain HTTP/1.1 client on one keep-alive connection: what it sends and what it sees are bytes.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

/// Sees every answer to a request that was made of parts: method, path with query, answer.
pub static OBSERVER: OnceLock<fn(&str, &str, &Response)> = OnceLock::new();

/// One connection; made again when the server has closed it.
pub struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// Names exactly as they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.send("GET", path, &[], None)
    }

    /// A request with JSON content where there is a body (and no content-type among the headers).
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Response {
        self.send_bytes(method, path, headers, body.map(str::as_bytes))
    }

    pub fn send_bytes(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Response {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address).into_bytes();
        for (name, value) in headers {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if let Some(body) = body {
            if !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            {
                request.extend_from_slice(b"content-type: application/json\r\n");
            }
            request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
            request.extend_from_slice(body);
        } else {
            request.extend_from_slice(b"\r\n");
        }
        let response = self.raw(&request, method == "HEAD");
        if let Some(observe) = OBSERVER.get() {
            observe(method, path, &response);
        }
        response
    }

    /// Sends bytes as they are and reads one response.
    pub fn raw(&mut self, request: &[u8], head: bool) -> Response {
        self.try_raw(request, head).unwrap_or_else(|error| {
            panic!("no answer to {}: {error}", String::from_utf8_lossy(request))
        })
    }

    /// The same, where the connection may break.
    pub fn try_raw(&mut self, request: &[u8], head: bool) -> std::io::Result<Response> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            stream.set_nodelay(true)?;
            self.stream = Some(BufReader::new(stream));
        }
        let stream = self.stream.as_mut().unwrap();
        let result = stream
            .get_mut()
            .write_all(request)
            .and_then(|()| read_response(stream, head));
        let close = match &result {
            Ok(response) => response
                .header("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close")),
            Err(_) => true,
        };
        if close {
            self.stream = None;
        }
        result
    }

    /// Sends and goes away before the answer: a lost answer.
    pub fn send_and_hang_up(&mut self, request: &[u8]) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request).unwrap();
    }
}

fn read_response(stream: &mut impl BufRead, head: bool) -> std::io::Result<Response> {
    let broken = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(broken());
        }
        // 100 Continue comes before the answer.
        if !line.starts_with("HTTP/1.1 100") {
            break;
        }
        stream.read_line(&mut line)?;
    }
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(broken)?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(broken());
        }
        let text = line.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').ok_or_else(broken)?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut response = Response {
        status,
        headers,
        body: Vec::new(),
    };
    if head || status == 204 || status == 304 {
        return Ok(response);
    }
    if response.header("transfer-encoding").is_some() {
        response.body = read_chunks(stream)?;
    } else if let Some(length) = response.header("content-length") {
        response.body = vec![0; length.parse().map_err(|_| broken())?];
        stream.read_exact(&mut response.body)?;
    } else {
        stream.read_to_end(&mut response.body)?;
    }
    Ok(response)
}

fn read_chunks(stream: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

impl Response {
    /// The value of a field; its lines joined by a comma.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .headers
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The `ETag`, which must be there.
    #[track_caller]
    pub fn etag(&self) -> String {
        self.header("etag")
            .unwrap_or_else(|| panic!("no ETag in {self:#?}"))
    }

    /// The `Location`, which must be there.
    #[track_caller]
    pub fn location(&self) -> String {
        self.header("location")
            .unwrap_or_else(|| panic!("no Location in {self:#?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The slug of the problem that this is; "-" where it is none.
    pub fn slug(&self) -> String {
        if self
            .header("content-type")
            .is_none_or(|value| value != "application/problem+json")
        {
            return "-".into();
        }
        self.json()["type"]
            .as_str()
            .unwrap_or("-")
            .trim_start_matches("/problems/")
            .to_owned()
    }

    /// Checks the status, and shows everything where it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#?}\n{}", self.headers, self.text());
        self
    }

    /// Checks status and problem.
    #[track_caller]
    pub fn expect_problem(self, status: u16, slug: &str) -> Self {
        let found = (self.status, self.slug());
        assert_eq!(
            found,
            (status, slug.to_owned()),
            "{:#?}\n{}",
            self.headers,
            self.text()
        );
        self
    }
}

/// What most tests begin with.
impl Client {
    /// Creates a resource; its tag.
    #[track_caller]
    pub fn put_new(&mut self, path: &str, body: &str) -> String {
        self.send("PUT", path, &[("if-none-match", "*")], Some(body))
            .expect(201)
            .etag()
    }

    /// Opens a transaction; its URI and its tag.
    #[track_caller]
    pub fn open_transaction(&mut self) -> (String, String) {
        let opened = self.send("POST", "/transactions", &[], None).expect(201);
        (opened.location(), opened.etag())
    }

    /// Applies changes, a JSON array, to a transaction under `If-Match`.
    pub fn apply(&mut self, transaction: &str, tag: &str, changes: &str) -> Response {
        let body = format!("{{\"changes\": {changes}}}");
        self.send("PUT", transaction, &[("if-match", tag)], Some(&body))
    }
}
