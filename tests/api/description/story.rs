//! The transfer that the file tells, request by request (contract §1): sent as it stands there, and answered so.

use serde_json::{Map, Value, json};

use super::checker::description;
use super::likeness::letters;
use super::scenes::{Act, Scene};
use crate::support::client::Response;

/// Lines of one side of an exchange: the first, header fields, content.
#[derive(Clone, Debug, Default)]
struct Side {
    first: String,
    headers: Vec<(String, String)>,
    content: String,
}

impl Side {
    fn add(&mut self, line: &str) {
        let field = line.split_once(": ").filter(|(name, _)| {
            self.content.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_alphabetic())
        });
        match field {
            _ if self.first.is_empty() => line.clone_into(&mut self.first),
            Some((name, value)) => self.headers.push((name.to_owned(), value.to_owned())),
            None => self.content.push_str(line),
        }
    }
}

/// The exchanges of the story, each begun by a line with `#`. Without a request it is that of before again; without an
/// answer, that got lost.
fn exchanges(text: &str) -> Vec<(Side, Side)> {
    let (_, text) = text.split_once("# A transfer").expect("a story");
    let text = text.split("```").nth(1).expect("a block");
    let mut all: Vec<(Side, Side)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match (line.split_at(1), all.last_mut()) {
            (("#", _), _) => all.push(Default::default()),
            ((">", rest), Some((request, _))) => request.add(rest.trim_start()),
            (("<", rest), Some((_, answer))) => answer.add(rest.trim_start()),
            _ => panic!("{line}"),
        }
    }
    all
}

/// What an answer has of that which is shown.
fn shown(example: &Value, answer: &Value) -> Value {
    match (example, answer) {
        (Value::Object(left), Value::Object(right)) => {
            let both = left
                .iter()
                .filter_map(|(name, left)| Some((name.clone(), shown(left, right.get(name)?))));
            Value::Object(both.collect())
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let both = left.iter().zip(right);
            both.map(|(left, right)| shown(left, right)).collect()
        }
        _ => answer.clone(),
    }
}

/// What the file names in this answer, and what it is called here.
fn learn(example: &Value, answer: &Value, names: &mut Vec<(String, String)>) {
    match (example, answer) {
        (Value::Object(left), Value::Object(right)) => {
            for (name, left) in left {
                learn(left, &right[name], names);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for (left, right) in left.iter().zip(right) {
                learn(left, right, names);
            }
        }
        (Value::String(left), Value::String(right)) if left != right => {
            names.push((
                left.trim_matches('"').into(),
                right.trim_matches('"').into(),
            ));
        }
        _ => {}
    }
}

fn compare(scene: &mut Scene, told: &Side, response: &Response) {
    let headers: Map<String, Value> = told
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    let fields: Map<String, Value> = told
        .headers
        .iter()
        .map(|(name, _)| {
            let name = name.clone();
            let value = response.header(&name.to_lowercase());
            (name, value.into())
        })
        .collect();
    let (content, body) = if told.content.is_empty() {
        (Value::Null, Value::Null)
    } else {
        let content = serde_json::from_str(&told.content).expect(&told.content);
        (content, response.json())
    };
    let status: u16 = told.first.parse().expect(&told.first);
    let told = json!({"status": status, "headers": headers, "content": content});
    let answer = json!({"status": response.status, "headers": fields, "content": body});
    let answer = shown(&told, &answer);
    letters(&told, &answer, &scene.names).unwrap();
    learn(&told, &answer, &mut scene.names);
}

#[test]
fn the_transfer_goes_as_it_is_told() {
    let document = description();
    let mut scene = Scene::new(&document, Act::Resources);
    let mut before = Side::default();
    let mut counts = [0; 3];
    for (request, answer) in exchanges(document["info"]["description"].as_str().unwrap()) {
        let again = request.first.is_empty();
        let lost = answer.first.is_empty();
        if !again {
            before = request;
        }
        let (method, path) = before.first.split_once(' ').expect("a request");
        let content = (!before.content.is_empty()).then_some(&*before.content);
        let response = scene.send(method, path, &before.headers, content);
        if !lost {
            compare(&mut scene, &answer, &response);
        }
        counts = [
            counts[0] + 1,
            counts[1] + usize::from(again),
            counts[2] + usize::from(lost),
        ];
    }
    assert_eq!(counts, [6, 1, 1], "exchanges, repetitions, lost answers");
    let read = "/resources?key=accounts/alice&key=accounts/bob";
    let items = scene.client.get(read).expect(200).json()["items"].clone();
    let balances = [0, 1].map(|index| items[index]["body"]["balance"].clone());
    assert_eq!(balances, [30, 10], "10 went from Alice's 40 to Bob");
}
