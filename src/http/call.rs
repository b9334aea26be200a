//! One request, as handlers see it: its names, fields and content, each read in one place.
//!
//! Names come from the raw path, so that they are percent-decoded exactly once, by the types of
//! [`crate::protocol::name`]. This module must not know what a request does.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::engine::Engine;
use crate::protocol::command::{Action, Command};
use crate::protocol::condition::{ConditionFault, Conditions};
use crate::protocol::name::{Collection, ResourceName, Tenant, TransactionId, decode_once};
use crate::protocol::prefer::Preferences;
use crate::protocol::problem::{Problem, Slug};

/// The form of a resource's name, for people.
const RESOURCE_FORM: &str = "A collection is [a-z][a-z0-9_-]{0,62}; a key is 1 to 255 of A-Z a-z 0-9 . _ ~ ! $ & ' ( ) * + , ; = : @ -.";

/// A request and the engine that answers it.
pub(super) struct Call {
    /// The request, without its content, which is in its extensions.
    pub(super) request: HttpRequest,
    /// What does the work.
    pub(super) engine: Engine,
    /// Whose state it is about.
    pub(super) tenant: Tenant,
}

impl Call {
    pub(super) fn new(request: HttpRequest, engine: Engine) -> Self {
        Self {
            request,
            engine,
            tenant: Tenant::default(),
        }
    }

    /// The collection of `/resources/{collection}`.
    ///
    /// # Errors
    /// `not-found` where no collection can have that name.
    pub(super) fn collection(&self) -> Result<Collection, Problem> {
        self.segment(2)
            .and_then(decode_once)
            .and_then(|name| Collection::parse(&name))
            .ok_or_else(|| no_name("A collection is [a-z][a-z0-9_-]{0,62}."))
    }

    /// The resource of `/resources/{collection}/{key}`.
    ///
    /// # Errors
    /// `not-found` where no resource can have that name.
    pub(super) fn resource_name(&self) -> Result<ResourceName, Problem> {
        self.segment(2)
            .zip(self.segment(3))
            .and_then(|(collection, key)| ResourceName::parse_segments(collection, key))
            .ok_or_else(|| no_name(RESOURCE_FORM))
    }

    /// The resource and the number of `/resources/{collection}/{key}/versions/{version}`.
    ///
    /// # Errors
    /// `not-found` where no resource can have that name, or no version that number.
    pub(super) fn version(&self) -> Result<(ResourceName, i64), Problem> {
        let name = self.resource_name()?;
        self.segment(5)
            .and_then(decode_once)
            .and_then(|text| version_number(&text))
            .map(|version| (name, version))
            .ok_or_else(|| {
                no_name("A version is a whole number, from 1, as the list of them shows it.")
            })
    }

    /// The id of `/transactions/{id}`.
    ///
    /// # Errors
    /// `not-found` where it is no UUID.
    pub(super) fn transaction_id(&self) -> Result<TransactionId, Problem> {
        self.segment(2)
            .and_then(TransactionId::parse_segment)
            .ok_or_else(|| no_name("The id of a transaction is a UUID of 36 characters."))
    }

    /// The transaction and the resource of `/transactions/{id}/resources/{collection}/{key}`.
    ///
    /// # Errors
    /// `not-found` where the former is no UUID, or no resource can have that name.
    pub(super) fn draft_target(&self) -> Result<(TransactionId, ResourceName), Problem> {
        let id = self.transaction_id()?;
        let name = self
            .segment(4)
            .zip(self.segment(5))
            .and_then(|(collection, key)| ResourceName::parse_segments(collection, key));
        name.map(|name| (id, name))
            .ok_or_else(|| no_name(RESOURCE_FORM))
    }

    /// The type of `/problems/{slug}`.
    ///
    /// # Errors
    /// `not-found` where there is no such type.
    pub(super) fn problem_slug(&self) -> Result<Slug, Problem> {
        self.segment(2)
            .and_then(decode_once)
            .and_then(|slug| Slug::parse(&slug))
            .ok_or_else(|| no_name("This release has no such problem type."))
    }

    /// A segment of the path, not decoded; the first is 1.
    fn segment(&self, index: usize) -> Option<&str> {
        self.request.uri().path().split('/').nth(index)
    }

    /// The lines of a header field.
    pub(super) fn lines(&self, name: HeaderName) -> Vec<&[u8]> {
        self.request
            .headers()
            .get_all(name)
            .map(HeaderValue::as_bytes)
            .collect()
    }

    /// What the client would like.
    pub(super) fn preferences(&self) -> Preferences {
        preferences(&self.request)
    }

    /// The conditions in the header. RFC 4918's `If` is a fault on a write: it would be dropped silently.
    pub(super) fn conditions(&self) -> Result<Conditions, ConditionFault> {
        let reads = matches!(*self.request.method(), Method::GET | Method::HEAD);
        if !reads && self.request.headers().contains_key("if") {
            return Err(ConditionFault {
                field: "If",
                detail: "RFC 4918's field is not evaluated here. Send If-Match; to require states of other resources, PUT a \
                         transaction whose changes assert them: {\"method\": \"GET\", \"target\": \"…\", \"if_match\": \"…\"}."
                    .to_owned(),
            });
        }
        Conditions::parse(
            &self.lines(header::IF_MATCH),
            &self.lines(header::IF_NONE_MATCH),
            &self.lines(header::IF_UNMODIFIED_SINCE),
            &self.lines(header::IF_MODIFIED_SINCE),
        )
    }

    /// The command that the request is: about the transaction that its URI names, or a fresh one.
    pub(super) fn command(
        &self,
        named: Option<TransactionId>,
        conditions: Result<Conditions, ConditionFault>,
        action: Action,
    ) -> Command {
        let preferences = self.preferences();
        Command {
            tenant: self.tenant.clone(),
            id: named.unwrap_or_else(|| TransactionId::from_uuid(Uuid::now_v7())),
            nonce: rand::random(),
            representation: preferences.representation,
            strict: preferences.strict,
            conditions,
            key: None,
            action,
        }
    }
}

/// The number that `text` is: digits only, and none that could be left out, since one version has one URI.
pub(super) fn version_number(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

/// What the client of a request would like.
pub(super) fn preferences(request: &HttpRequest) -> Preferences {
    let lines: Vec<&[u8]> = request
        .headers()
        .get_all("prefer")
        .map(HeaderValue::as_bytes)
        .collect();
    Preferences::parse(&lines)
}

fn no_name(form: &str) -> Problem {
    Problem::new(Slug::NotFound, format!("Nothing can have this URI. {form}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_form() {
        for (text, expected) in [
            ("1", Some(1)),
            ("10", Some(10)),
            ("9223372036854775807", Some(i64::MAX)),
        ] {
            assert_eq!(version_number(text), expected, "{text}");
        }
        for text in [
            "",
            "0",
            "01",
            "00",
            "+1",
            "-1",
            "1.0",
            "1e0",
            "0x1",
            " 1",
            "1 ",
            "1_0",
            "\u{661}",
            "a",
            "9223372036854775808",
            "18446744073709551617",
        ] {
            assert_eq!(version_number(text), None, "{text:?}");
        }
    }
}
