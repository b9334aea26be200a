//! Which URI knows which methods, and who handles them (contract §2).
//!
//! The router only counts segments: names are read from the raw path, in [`super::call`]. What no
//! handler takes is refused here: `404` for what is no URI of ours, `405` for another method.

use std::future::Future;

use actix_web::guard::{self, Guard};
use actix_web::http::{Method, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route};

use super::call::Call;
use super::{
    description, docs, drafts, health, lists, problems, resources, respond, schemas, service,
    transactions, versions,
};
use crate::engine::Engine;
use crate::protocol::problem::{Problem, Slug};

const READ: &str = "GET, HEAD, OPTIONS";
const READ_CREATE: &str = "GET, HEAD, POST, OPTIONS";
const READ_SET: &str = "GET, HEAD, PUT, DELETE, OPTIONS";
const READ_WRITE: &str = "GET, HEAD, PUT, PATCH, DELETE, OPTIONS";

/// What is the same for every method of a URI.
#[derive(Clone, Copy)]
struct Traits {
    allow: &'static str,
    accept_patch: Option<&'static str>,
    /// Refuses a name that nothing can have: `404` comes before `405`.
    check: fn(&Call) -> Result<(), Problem>,
}

impl Traits {
    fn new(allow: &'static str) -> Self {
        Self {
            allow,
            accept_patch: None,
            check: |_| Ok(()),
        }
    }

    fn named(mut self, check: fn(&Call) -> Result<(), Problem>) -> Self {
        self.check = check;
        self
    }

    fn patched(mut self, accept_patch: &'static str) -> Self {
        self.accept_patch = Some(accept_patch);
        self
    }
}

/// Adds every URI of this release.
pub(super) fn routes(config: &mut ServiceConfig, engine: &Engine) {
    state(config, engine);
    documents(config, engine);
    config.default_service(handled(engine, web::route(), unknown));
}

/// What holds state and changes it.
fn state(config: &mut ServiceConfig, engine: &Engine) {
    let site = |traits: Traits, path: &str| Site::new(engine, path, traits);
    let collection = Traits::new(READ).named(|call| call.collection().map(drop));
    let resource = Traits::new(READ_WRITE)
        .named(|call| call.resource_name().map(drop))
        .patched(resources::PATCHES);
    let schema = Traits::new(READ_SET).named(|call| call.collection().map(drop));
    let history = Traits::new(READ).named(|call| call.resource_name().map(drop));
    let version = Traits::new(READ).named(|call| call.version().map(drop));
    let transaction = Traits::new(READ_WRITE)
        .named(|call| call.transaction_id().map(drop))
        .patched(transactions::PATCHES);
    let draft = Traits::new(READ_WRITE)
        .named(|call| call.draft_target().map(drop))
        .patched(resources::PATCHES);
    config
        .service(
            site(Traits::new(READ), "/resources")
                .get(lists::list_collections)
                .done(),
        )
        .service(
            site(collection, "/resources/{collection}")
                .get(lists::list_resources)
                .done(),
        )
        .service(
            site(resource, "/resources/{collection}/{key}")
                .get(resources::get_resource)
                .on(Method::PUT, resources::put_resource)
                .on(Method::PATCH, resources::patch_resource)
                .on(Method::DELETE, resources::delete_resource)
                .done(),
        )
        .service(
            site(history, "/resources/{collection}/{key}/versions")
                .get(versions::list_versions)
                .done(),
        )
        .service(
            site(version, "/resources/{collection}/{key}/versions/{version}")
                .get(versions::get_version)
                .done(),
        )
        .service(
            site(schema, "/schemas/{collection}")
                .get(schemas::get_schema)
                .on(Method::PUT, schemas::put_schema)
                .on(Method::DELETE, schemas::delete_schema)
                .done(),
        )
        .service(
            site(Traits::new(READ_CREATE), "/transactions")
                .get(lists::list_transactions)
                .on(Method::POST, transactions::create_transaction)
                .done(),
        )
        .service(
            site(transaction, "/transactions/{id}")
                .get(transactions::get_transaction)
                .on(Method::PUT, transactions::put_transaction)
                .on(Method::PATCH, transactions::patch_transaction)
                .on(Method::DELETE, transactions::delete_transaction)
                .done(),
        )
        .service(
            site(draft, "/transactions/{id}/resources/{collection}/{key}")
                .get(drafts::get_draft_resource)
                .on(Method::PUT, drafts::put_draft_resource)
                .on(Method::PATCH, drafts::patch_draft_resource)
                .on(Method::DELETE, drafts::delete_draft_resource)
                .done(),
        );
}

/// What tells of the server.
fn documents(config: &mut ServiceConfig, engine: &Engine) {
    let site = |traits: Traits, path: &str| Site::new(engine, path, traits);
    let problem = Traits::new(READ).named(|call| call.problem_slug().map(drop));
    let docs_file = Traits::new(READ).named(docs::check);
    config
        .service(
            site(Traits::new(READ), "/")
                .get(service::get_service)
                .done(),
        )
        .service(
            site(problem, "/problems/{slug}")
                .get(problems::get_problem_type)
                .done(),
        )
        .service(
            site(Traits::new(READ), "/openapi.yaml")
                .get(description::get_openapi_yaml)
                .done(),
        )
        .service(
            site(Traits::new(READ), "/openapi.json")
                .get(description::get_openapi_json)
                .done(),
        )
        .service(site(Traits::new(READ), "/docs").get(docs::get_docs).done())
        .service(
            site(docs_file, "/docs/{file}")
                .get(docs::get_docs_file)
                .done(),
        )
        .service(
            site(Traits::new(READ), "/health/live")
                .get(health::get_liveness)
                .done(),
        )
        .service(
            site(Traits::new(READ), "/health/ready")
                .get(health::get_readiness)
                .done(),
        );
}

/// One URI while its methods are being added.
struct Site<'a> {
    engine: &'a Engine,
    traits: Traits,
    resource: Resource,
}

impl<'a> Site<'a> {
    fn new(engine: &'a Engine, path: &str, traits: Traits) -> Self {
        Self {
            engine,
            traits,
            resource: web::resource(path),
        }
    }

    /// GET, and HEAD, whose content the server leaves out.
    fn get<F, R>(self, handler: F) -> Self
    where
        F: Fn(Call) -> R + Clone + 'static,
        R: Future<Output = Result<HttpResponse, Problem>> + 'static,
    {
        self.guarded(guard::Any(guard::Get()).or(guard::Head()), handler)
    }

    fn on<F, R>(self, method: Method, handler: F) -> Self
    where
        F: Fn(Call) -> R + Clone + 'static,
        R: Future<Output = Result<HttpResponse, Problem>> + 'static,
    {
        self.guarded(guard::Method(method), handler)
    }

    fn guarded<F, R>(mut self, guard: impl Guard + 'static, handler: F) -> Self
    where
        F: Fn(Call) -> R + Clone + 'static,
        R: Future<Output = Result<HttpResponse, Problem>> + 'static,
    {
        let route = handled(self.engine, web::route().guard(guard), handler);
        self.resource = self.resource.route(route);
        self
    }

    fn done(self) -> Resource {
        let traits = self.traits;
        let other = move |call: Call| async move { other_method(&call, traits) };
        self.resource
            .default_service(handled(self.engine, web::route(), other))
    }
}

/// A route whose problems become documents.
fn handled<F, R>(engine: &Engine, route: Route, handler: F) -> Route
where
    F: Fn(Call) -> R + Clone + 'static,
    R: Future<Output = Result<HttpResponse, Problem>> + 'static,
{
    let engine = engine.clone();
    route.to(move |request: HttpRequest| {
        let answer = handler(Call::new(request.clone(), engine.clone()));
        async move {
            let answer = answer.await;
            answer.unwrap_or_else(|problem| problems::response(&request, &problem))
        }
    })
}

fn other_method(call: &Call, traits: Traits) -> Result<HttpResponse, Problem> {
    (traits.check)(call)?;
    if call.request.method() == Method::OPTIONS {
        return Ok(options(Some(traits.allow), traits.accept_patch));
    }
    let detail = format!(
        "{} is not for this URI. It takes {}.",
        call.request.method(),
        traits.allow
    );
    Err(Problem::new(Slug::MethodNotAllowed, detail).with_field("allow", traits.allow))
}

async fn unknown(call: Call) -> Result<HttpResponse, Problem> {
    if call.request.method() == Method::OPTIONS && call.request.uri().path() == "*" {
        return Ok(options(None, None));
    }
    let detail = "This server has no such URI; GET / names those it has. Segments are neither empty nor followed by a slash.";
    Err(Problem::new(Slug::NotFound, detail))
}

fn options(allow: Option<&'static str>, accept_patch: Option<&'static str>) -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    response.insert_header((header::CACHE_CONTROL, respond::NO_STORE));
    if let Some(allow) = allow {
        response.insert_header((header::ALLOW, allow));
    }
    if let Some(types) = accept_patch {
        response.insert_header(("accept-patch", types));
    }
    response.finish()
}
