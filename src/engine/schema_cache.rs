//! What is known of schemas: compiled once, by version, and good for the epoch that they were read in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::pg::PgConnection;

use crate::protocol::name::Tenant;
use crate::protocol::schema::{CollectionSchemas, Schema, Schemas};
use crate::store::error::StoreError;
use crate::store::schemas::{SchemaTexts, schemas_fetch};

/// Tenants whose schemas are kept; one more, and all are read again.
const TENANTS_MAX: usize = 1_000;

/// An epoch, and the schemas in it.
type Known = (i64, Arc<Schemas>);

/// The schemas of tenants, each of the last epoch that was seen.
#[derive(Debug, Default)]
pub(super) struct SchemaCache {
    known: Mutex<HashMap<Tenant, Known>>,
}

impl SchemaCache {
    /// The schemas of this epoch, read where they are not known.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the epoch is another by now.
    pub(super) fn in_epoch(
        &self,
        connection: &mut PgConnection,
        tenant: &Tenant,
        epoch: i64,
    ) -> Result<Arc<Schemas>, StoreError> {
        let last = self.last(tenant);
        if let Some((known, schemas)) = &last
            && *known == epoch
        {
            return Ok(schemas.clone());
        }
        let (read_in, texts) = schemas_fetch(connection, tenant)?;
        let before = last.map(|(_, schemas)| schemas).unwrap_or_default();
        let schemas = Arc::new(compiled(texts, &before));
        self.learn(tenant, (read_in, schemas.clone()));
        if read_in == epoch {
            return Ok(schemas);
        }
        Err(StoreError::Conflict(diesel::result::Error::NotFound))
    }

    fn last(&self, tenant: &Tenant) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(tenant).cloned()
    }

    fn learn(&self, tenant: &Tenant, schemas: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TENANTS_MAX && !known.contains_key(tenant) {
            known.clear();
        }
        known.insert(tenant.clone(), schemas);
    }
}

/// Compiles what has not been compiled before.
fn compiled(texts: Vec<SchemaTexts>, before: &Schemas) -> Schemas {
    let compiled = texts.into_iter().map(|texts| {
        let before = before.of(&texts.collection).cloned().unwrap_or_default();
        // What was pending is set under the same nonce.
        let known = |nonce: i64| {
            let current = before
                .current
                .iter()
                .map(|(tag, schema)| (tag.nonce, schema));
            let pending = before
                .pending
                .iter()
                .map(|(nonce, schema)| (*nonce, schema));
            let mut all = current.chain(pending);
            all.find(|(known, _)| *known == nonce)
                .map(|(_, schema)| schema.clone())
        };
        let schema = |nonce: i64, text: &str| known(nonce).unwrap_or_else(|| compile(text));
        let schemas = CollectionSchemas {
            current: texts
                .current
                .map(|(tag, text)| (tag, schema(tag.nonce, &text))),
            pending: texts
                .pending
                .map(|(nonce, text)| (nonce, schema(nonce, &text))),
        };
        (texts.collection, schemas)
    });
    Schemas::new(compiled.collect())
}

fn compile(text: &str) -> Arc<Schema> {
    Arc::new(Schema::compile(text).unwrap_or_else(|faults| {
        tracing::error!(
            ?faults,
            "a stored schema cannot be read: nothing satisfies it"
        );
        Schema::unreadable()
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::committer::JUDGE_STACK_BYTES;
    use crate::protocol::schema::Effort;

    /// A schema that applies itself by way of many others, and the deepest body that it is asked to judge.
    #[test]
    fn the_deepest_judgement_fits_into_a_thread() {
        let chain: Vec<String> = (0..45)
            .map(|n| {
                format!(
                    r##""d{n}": {{"allOf": [{{"$ref": "#/$defs/d{}"}}]}}"##,
                    n + 1
                )
            })
            .collect();
        let schema = format!(
            r##"{{"$ref": "#/$defs/d0", "$defs": {{{}, "d45": {{"items": {{"$ref": "#"}}}}}}}}"##,
            chain.join(",")
        );
        let judge = move || {
            let schema = Schema::compile(&schema).unwrap();
            let judged = (1..=100).filter(|depth| {
                let body = format!("{}{}", "[".repeat(*depth), "]".repeat(*depth));
                schema
                    .violations(&body, "#", &mut Effort::default())
                    .is_empty()
            });
            judged.count()
        };
        let thread = std::thread::Builder::new().stack_size(JUDGE_STACK_BYTES / 4);
        let deepest = thread.spawn(judge).unwrap().join().unwrap();
        assert!((10..100).contains(&deepest), "{deepest}");
    }
}
