//! Lists of resources that contain a JSON value (contract §4).

use super::query::Page;
use super::{Engine, reader};
use crate::protocol::containment::Containment;
use crate::protocol::limits::PAGE_BYTES_MAX;
use crate::protocol::name::{Collection, Key, ResourceName, Tenant};
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::state::Resource;
use crate::store::contains::{Part, containing_fetch, containing_page};

/// A page of the resources of a collection that contain a value.
#[derive(Clone, Debug)]
pub struct ContainingQuery {
    /// The collection.
    pub collection: Collection,
    /// What they contain.
    pub value: Containment,
    /// Only keys that begin so.
    pub prefix: String,
    /// Only these keys, all on one page.
    pub keys: Option<Vec<Key>>,
    /// Only those behind this key.
    pub after: String,
    /// At most so many.
    pub limit: usize,
}

impl Engine {
    /// A page of resources that contain a value, all from one state.
    ///
    /// # Errors
    /// `unavailable`, also where too much had to be looked at; `internal-error`.
    pub async fn containing_list(
        &self,
        tenant: &Tenant,
        query: ContainingQuery,
    ) -> Result<Page<(ResourceName, Resource)>, Problem> {
        let tenant = tenant.clone();
        let limit = query.limit;
        let keys = query.keys.clone().map(|mut keys| {
            keys.retain(|key| key.as_str().starts_with(&query.prefix));
            keys.sort_unstable();
            keys.dedup();
            keys
        });
        let named = keys.is_some();
        let found = self.read(move |connection| {
            let (collection, value) = (&query.collection, &query.value);
            if let Some(keys) = &keys {
                return containing_fetch(connection, &tenant, collection, value, keys);
            }
            // One more than asked for tells whether there is more.
            let part = Part {
                after: &query.after,
                prefix: &query.prefix,
                limit: query.limit + 1,
                bytes: PAGE_BYTES_MAX,
            };
            containing_page(connection, &tenant, collection, value, &part)
        });
        let Some(found) = found.await? else {
            return Err(Problem::new(
                Slug::Unavailable,
                "It took too long to look through the documents for those that contain this. Ask for something rarer, or for \
                 one prefix of the keys after the other.",
            ));
        };
        if named {
            return Ok(Page {
                items: found.items,
                next: None,
            });
        }
        Ok(reader::page(found.items, limit, found.cut, |(name, _)| {
            name.key.as_str().to_owned()
        }))
    }
}
