//! The part of the walk that goes through a draft.

use super::{CREATE, OPERATION, STAR, TRANSACTION, Walk};

pub(super) const DRAFT: &str = "/transactions/{id}/resources/{collection}/{key}";
const COMMIT: Option<&str> = Some("{\"state\": \"committed\"}");

impl Walk {
    pub(super) fn drafts(&mut self) {
        let (transaction, _) = self.client.open_transaction();
        let path = format!("{transaction}/resources/accounts/draft");
        self.step("PATCH", TRANSACTION, &transaction, &[STAR], COMMIT)
            .expect(422);
        let created = self
            .step("PUT", DRAFT, &path, &[CREATE], Some("{\"a\": 1}"))
            .expect(204);
        for method in ["PUT", "DELETE"] {
            self.step(method, DRAFT, &path, &[], Some("{}")).expect(428);
            self.step(method, DRAFT, &path, &[("if-match", "x")], Some("{}"))
                .expect(400);
            self.step(method, DRAFT, &path, &[("if-match", "W/\"x\"")], Some("{}"))
                .expect(412);
        }
        let seen = [("if-match", &*created.etag()), ("prefer", "return=minimal")];
        self.step("PUT", DRAFT, &path, &seen, Some("{}"))
            .expect(204);
        self.step("PATCH", DRAFT, &path, &[STAR], Some("{}"))
            .expect_problem(409, "patch-conflict");
        self.step("GET", DRAFT, &path, &[("if-match", "\"x\"")], None)
            .expect(412);
        self.step("DELETE", DRAFT, &path, &[STAR], None).expect(204);
        for method in ["GET", "PATCH", "DELETE"] {
            self.step(method, DRAFT, &path, &[STAR], Some("{}"))
                .expect(404);
        }
        let alice = format!("{transaction}/resources/accounts/alice");
        self.step("PATCH", DRAFT, &alice, &[STAR], Some("{\"a\": 1}"))
            .expect(204);
        let save = OPERATION.replace("{\"changes\"", "{\"state\": \"open\", \"changes\"");
        self.step("PUT", TRANSACTION, &transaction, &[STAR], Some(&save))
            .expect(200);
        let again = self.step("PUT", TRANSACTION, &transaction, &[STAR], Some(&save));
        assert!(again.expect(200).header("idempotent-replayed").is_some());
        let tag = self.client.get(&transaction).etag();
        let condition = [("if-match", &*tag)];
        for _ in 0..2 {
            self.step("PATCH", TRANSACTION, &transaction, &condition, COMMIT)
                .expect(200);
        }
        let strict = [condition[0], ("prefer", "handling=strict")];
        self.step("PATCH", TRANSACTION, &transaction, &strict, COMMIT)
            .expect(412);
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            self.step(method, DRAFT, &alice, &[STAR], Some("{}"))
                .expect(409);
        }
    }
}
