//! Statements with a type of their own, so that diesel keeps them prepared.
//!
//! `sql_query` is never kept prepared. A [`statement!`] is written as SQL with `{}` where a value is bound,
//! in the order of its fields; each field is bound once.

/// Declares a statement: its binds, the types of its result's columns, and its SQL. A statement in several forms
/// has a number, `Name<FORM>`, on which its SQL depends: each form is prepared by itself.
macro_rules! statement {
    (
        $(#[$doc:meta])*
        $name:ident $(<$form:ident>)? { $( $field:ident : $rust:ty => $sql:ty ),* $(,)? } -> $row:ty = $text:expr
    ) => {
        $(#[$doc])*
        pub(super) struct $name<'a $(, const $form: u8)?> {
            $( pub(super) $field: $rust, )*
            pub(super) lifetime: ::std::marker::PhantomData<&'a ()>,
        }

        impl $(<const $form: u8>)? ::diesel::query_builder::QueryId for $name<'_ $(, $form)?> {
            type QueryId = $name<'static $(, $form)?>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl $(<const $form: u8>)? ::diesel::query_builder::Query for $name<'_ $(, $form)?> {
            type SqlType = $row;
        }

        impl $(<const $form: u8>)? ::diesel::RunQueryDsl<::diesel::pg::PgConnection> for $name<'_ $(, $form)?> {}

        impl $(<const $form: u8>)? ::diesel::query_builder::QueryFragment<::diesel::pg::Pg> for $name<'_ $(, $form)?> {
            fn walk_ast<'b>(
                &'b self,
                mut out: ::diesel::query_builder::AstPass<'_, 'b, ::diesel::pg::Pg>,
            ) -> ::diesel::QueryResult<()> {
                let mut parts = ($text).split("{}");
                out.push_sql(parts.next().unwrap_or_default());
                $(
                    out.push_bind_param::<$sql, _>(&self.$field)?;
                    out.push_sql(parts.next().unwrap_or_default());
                )*
                Ok(())
            }
        }
    };
}

pub(super) use statement;
