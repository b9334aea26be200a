//! What breaks code that uses a generated SDK, and why. Whatever is not said here to be harmless breaks it.
//!
//! Harmless: a new operation, schema, response header or response media type behind the others; a new optional parameter
//! behind the others; a new optional member; a new required member of what is only received; a new value of an enum that
//! is only sent; a response header that is always there from now on; descriptions, summaries, examples, links, `deprecated`,
//! `x-…`. A bound (`maximum`, `maxLength`, `pattern` …) is no such thing, either way: what was valid is refused, or more than
//! an SDK checks for comes back; and some generators choose integer types by bounds, and make types of bounded strings.
//! Rust and Java callers must add an argument for a new optional parameter, and Rust ones a field in a struct literal.
//! That comes with those generators, and is not counted here: nothing could ever be added.

/// A kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    OperationGone,
    OperationRenamed,
    OperationRegrouped,
    OperationChanged,
    ParameterGone,
    ParameterDemanded,
    ParameterOrder,
    NecessityChanged,
    ContentChanged,
    MediaTypes,
    StatusGone,
    StatusAdded,
    HeaderGone,
    ComponentGone,
    MemberGone,
    MemberDemanded,
    TypeChanged,
    EnumShrunk,
    EnumGrown,
    SecurityChanged,
    DocumentChanged,
}

impl Rule {
    pub(crate) const ALL: [Rule; 21] = [
        Rule::OperationGone,
        Rule::OperationRenamed,
        Rule::OperationRegrouped,
        Rule::OperationChanged,
        Rule::ParameterGone,
        Rule::ParameterDemanded,
        Rule::ParameterOrder,
        Rule::NecessityChanged,
        Rule::ContentChanged,
        Rule::MediaTypes,
        Rule::StatusGone,
        Rule::StatusAdded,
        Rule::HeaderGone,
        Rule::ComponentGone,
        Rule::MemberGone,
        Rule::MemberDemanded,
        Rule::TypeChanged,
        Rule::EnumShrunk,
        Rule::EnumGrown,
        Rule::SecurityChanged,
        Rule::DocumentChanged,
    ];

    pub(crate) fn why(self) -> &'static str {
        match self {
            Rule::OperationGone => "SDKs that are in use call this URI",
            Rule::OperationRenamed => "the operationId is the name of the method",
            Rule::OperationRegrouped => "the tag is the name of the class or module",
            Rule::OperationChanged => "generators make other code of it",
            Rule::ParameterGone => "callers pass it by this name",
            Rule::ParameterDemanded => "callers do not pass it yet",
            Rule::ParameterOrder => "arguments are positional in some SDKs: a new one goes last",
            Rule::NecessityChanged => "T and optional T are different types",
            Rule::ContentChanged => "the method takes or returns something else",
            Rule::MediaTypes => "generators take the first, and some fail on a second in a request",
            Rule::StatusGone => "callers branch on it",
            Rule::StatusAdded => "SDKs that are in use take an unknown status for an error",
            Rule::HeaderGone => "callers read it",
            Rule::ComponentGone => "its name is the name of a type",
            Rule::MemberGone => "callers use it",
            Rule::MemberDemanded => "callers do not send it yet",
            Rule::TypeChanged => "its type in generated code is another, or other values are valid",
            Rule::EnumShrunk => "callers name the value",
            Rule::EnumGrown => "SDKs that are in use refuse an answer with an unknown value",
            Rule::SecurityChanged => "callers send other credentials",
            Rule::DocumentChanged => "generators make other code or packages of it",
        }
    }
}

/// One difference that breaks somebody.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Break {
    pub(crate) rule: Rule,
    /// What an entry of the changelog must name: an operationId, `Schema.member`, `Schema` or a place in the file.
    pub(crate) subject: String,
    /// What is different, in a few words.
    pub(crate) what: String,
}
