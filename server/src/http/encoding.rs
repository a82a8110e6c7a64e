//! Chooses a content coding by `Accept-Encoding` (RFC 9110, 12.5.3).

use std::cmp::Reverse;

use axum::http::{HeaderMap, header};

/// A coding in which the build leaves each file of the page. The first is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Brotli,
    Gzip,
    Identity,
}

/// The largest quality value, in thousandths: the resolution that HTTP defines.
const QUALITY_MAX: u16 = 1_000;

impl Encoding {
    pub(super) const ALL: [Self; 3] = [Self::Brotli, Self::Gzip, Self::Identity];

    /// Returns the name that HTTP gives to this coding. The identity has no header.
    pub(super) const fn code(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// Returns what the build appends to a file's name.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
            Self::Identity => "",
        }
    }

    /// Returns the codings that the client accepts, the best first: by quality, then by size. The
    /// identity always comes last at least, because a client that refuses it is better served with
    /// it than with nothing.
    pub(super) fn by_preference(headers: &HeaderMap) -> Vec<Self> {
        let accepted = Accepted::parse(headers);
        let mut codings: Vec<(u16, Self)> =
            Self::ALL.into_iter().map(|coding| (accepted.quality(coding), coding)).collect();
        codings.retain(|(quality, coding)| *quality > 0 || *coding == Self::Identity);
        // The sort is stable, so codings of equal quality stay in the order of their size.
        codings.sort_by_key(|(quality, _)| Reverse(*quality));
        codings.into_iter().map(|(_, coding)| coding).collect()
    }
}

/// Codings with their qualities, as the client lists them.
struct Accepted(Vec<(String, u16)>);

impl Accepted {
    fn parse(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT_ENCODING).into_iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        let codings = texts.flat_map(|text| text.split(',')).map(|element| {
            let mut parts = element.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|it| it.strip_prefix("q=").or(it.strip_prefix("Q=")));
            (name, quality.map_or(QUALITY_MAX, parse_quality))
        });
        Self(codings.collect())
    }

    fn quality(&self, coding: Encoding) -> u16 {
        let find =
            |name: &str| self.0.iter().find(|(it, _)| it == name).map(|(_, quality)| *quality);
        match coding.code() {
            Some(name) => find(name).or_else(|| find("*")).unwrap_or(0),
            // A client that lists other codings prefers those, unless it says otherwise.
            None => find("identity").or_else(|| find("*").filter(|it| *it == 0)).unwrap_or(1),
        }
    }
}

/// Returns a quality in thousandths. A malformed one counts as zero.
fn parse_quality(text: &str) -> u16 {
    let quality = text.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000")]
    let thousandths = (quality * f32::from(QUALITY_MAX)).round() as u16;
    thousandths
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::Encoding::{Brotli, Gzip, Identity};
    use super::*;

    #[track_caller]
    fn check(accepted: &'static str, expected: &[Encoding]) {
        let value = HeaderValue::from_static(accepted);
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]);
        assert_eq!(Encoding::by_preference(&headers), expected, "{accepted:?}");
    }

    #[test]
    fn codings_are_ordered_by_quality_and_then_by_size() {
        check("gzip, deflate, br, zstd", &[Brotli, Gzip, Identity]);
        check("br;q=0.5, gzip;q=0.8", &[Gzip, Brotli, Identity]);
        check("BR ; Q=0.001", &[Brotli, Identity]);
        check("gzip;q=0.5, identity", &[Identity, Gzip]);
        check("*", &[Brotli, Gzip, Identity]);
        check("*;q=0.2, br;q=0", &[Gzip, Identity]);
        check("identity;q=0, gzip", &[Gzip, Identity]);
        check("*;q=0", &[Identity]);
        check("gzip;q=nan, br;q=x", &[Identity]);
        check("", &[Identity]);
        assert_eq!(Encoding::by_preference(&HeaderMap::new()), [Identity]);
    }
}
