//! JSON for people: a field a line.

/// The same as this JSON, which has no space in it, a field a line.
pub fn indented(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() * 2);
    let (mut depth, mut in_text, mut is_escaped) = (0, false, false);
    let mut chars = compact.chars().peekable();
    while let Some(char) = chars.next() {
        let ends = matches!(chars.peek(), Some('}' | ']'));
        match char {
            _ if in_text => {
                in_text = char != '"' || is_escaped;
                is_escaped = char == '\\' && !is_escaped;
                out.push(char);
            }
            '{' | '[' if ends => out.extend([Some(char), chars.next()].into_iter().flatten()),
            '{' | '[' => {
                depth += 1;
                out.push(char);
                new_line(&mut out, depth);
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push(char);
            }
            ',' => {
                out.push(char);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_text = char == '"';
                out.push(char);
            }
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}
