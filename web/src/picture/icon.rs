//! The icons of the page, as one set: outlines of two units' width with round ends, in a box of 24
//! by 24 units. Drawn as paths, because many fonts lack such symbols.

use super::shape::{Shape, path};

/// The width and height of the box of every icon.
#[cfg(test)]
pub(crate) const ICON_SIZE: f64 = 24.0;

macro_rules! icons {
    ($($(#[$doc:meta])* $name:ident = $style:ident $d:literal,)*) => {
        /// A symbol of the page.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(dead_code, reason = "a complete set, of which the page uses what it needs")]
        pub(crate) enum Icon {
            $($(#[$doc])* $name,)*
        }

        impl Icon {
            /// All icons.
            #[allow(dead_code, reason = "for tests and samples")]
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the path data, for a box of 24 by 24 units.
            pub(crate) const fn path_data(self) -> &'static str {
                match self {
                    $(Self::$name => $d,)*
                }
            }

            const fn style(self) -> Style {
                match self {
                    $(Self::$name => Style::$style,)*
                }
            }
        }
    };
}

/// How the path of an icon is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Outline,
    Solid,
}

icons! {
    Play = Solid "M7 4.5V19.5L19.5 12Z",
    Pause = Solid "M6 4.5H10V19.5H6ZM14 4.5H18V19.5H14Z",
    Step = Solid "M7 5V19L18 12Z",
    StepBack = Solid "M17 5V19L6 12Z",
    NextKeyEvent = Solid "M5 5V19L15.5 12ZM17 5H19.5V19H17Z",
    PreviousKeyEvent = Solid "M19 5V19L8.5 12ZM4.5 5H7V19H4.5Z",
    /// Jumps to the end.
    FastForward = Solid "M3 5.5V18.5L11.5 12ZM12.5 5.5V18.5L21 12Z",
    Home = Outline "M4 11L12 4L20 11M6 9.5V20H18V9.5M10 20V14H14V20",
    Compare = Outline "M4 5H10.5V19H4ZM13.5 5H20V19H13.5ZM6.5 9H8M6.5 12H8M16 9H17.5M16 15H17.5",
    Search = Outline "M10.5 4A6.5 6.5 0 1 1 10.5 17A6.5 6.5 0 1 1 10.5 4ZM15.5 15.5L20.5 20.5",
    /// Searches for a violation.
    Target = Outline
        "M12 4A8 8 0 1 1 12 20A8 8 0 1 1 12 4ZM12 9A3 3 0 1 1 12 15A3 3 0 1 1 12 9Z\
         M12 1.5V6M12 18V22.5M1.5 12H6M18 12H22.5",
    Share = Outline "M12 15V3.5M8 7L12 3L16 7M6 11H4.5V20.5H19.5V11H18",
    Present = Outline "M3 4.5H21M4.5 4.5V15.5H19.5V4.5M12 15.5V18M8.5 21.5L12 18L15.5 21.5",
    /// The light or dark theme.
    Theme = Outline "M12 3.5A8.5 8.5 0 1 1 12 20.5A8.5 8.5 0 1 1 12 3.5ZM12 3.5V20.5M14.5 6.5L18 10\
         M14.5 11L19.5 14.5M14.5 15.5L17.5 18",
    Menu = Outline "M3.5 6H20.5M3.5 12H20.5M3.5 18H20.5",
    More = Solid "M5 10A2 2 0 1 1 5 14A2 2 0 1 1 5 10ZM12 10A2 2 0 1 1 12 14A2 2 0 1 1 12 10Z\
         M19 10A2 2 0 1 1 19 14A2 2 0 1 1 19 10Z",
    Close = Outline "M5.5 5.5L18.5 18.5M18.5 5.5L5.5 18.5",
    Help = Outline "M9 9.5A3 3 0 1 1 12 12.5V14.5M12 17.9V18.1\
         M12 3A9 9 0 1 1 12 21A9 9 0 1 1 12 3Z",
    Undo = Outline "M8 4.5L3.5 9L8 13.5M3.5 9H14.5A5.25 5.25 0 0 1 14.5 19.5H9",
    Redo = Outline "M16 4.5L20.5 9L16 13.5M20.5 9H9.5A5.25 5.25 0 0 0 9.5 19.5H15",
    /// A connection to a real server.
    Live = Outline "M12 10.5A1.5 1.5 0 1 1 12 13.5A1.5 1.5 0 1 1 12 10.5Z\
         M8.2 15.8A5.4 5.4 0 0 1 8.2 8.2M15.8 8.2A5.4 5.4 0 0 1 15.8 15.8\
         M5 19A9.9 9.9 0 0 1 5 5M19 5A9.9 9.9 0 0 1 19 19",
    Notes = Outline "M6 3.5H14L19 8.5V20.5H6ZM14 3.5V8.5H19M9 12.5H16M9 16H16",
    Warning = Outline "M12 3.5L22 20.5H2ZM12 9.5V14.5M12 17.4V17.6",
    Check = Outline "M4.5 12.5L9.5 18L19.5 6.5",
    Cross = Outline "M6 6L18 18M18 6L6 18",
    Copy = Outline "M8.5 8.5H20V20.5H8.5ZM15.5 8.5V3.5H4V15.5H8.5",
    External = Outline "M13.5 4H20V10.5M20 4L11 13M17.5 13.5V20H4V6.5H10.5",
    Download = Outline "M12 3.5V15M7.5 11L12 15.5L16.5 11M4.5 16V20.5H19.5V16",
    ChevronDown = Outline "M6 9.5L12 15.5L18 9.5",
    ChevronUp = Outline "M6 14.5L12 8.5L18 14.5",
    ChevronLeft = Outline "M14.5 6L8.5 12L14.5 18",
    ChevronRight = Outline "M9.5 6L15.5 12L9.5 18",
    ArrowLeft = Outline "M20 12H4.5M10.5 6L4.5 12L10.5 18",
    ArrowRight = Outline "M4 12H19.5M13.5 6L19.5 12L13.5 18",
    Plus = Outline "M12 5V19M5 12H19",
    Minus = Outline "M5 12H19",
    /// A protection, or a goal that is reached.
    Shield = Outline "M12 3L20 6V11.5C20 16 17 19.5 12 21.5C7 19.5 4 16 4 11.5V6Z",
    /// A hint.
    Hint = Outline "M9 17.5H15M10 20.5H14M9 17.5C9 14.5 6 13.5 6 9.5A6 6 0 0 1 18 9.5\
         C18 13.5 15 14.5 15 17.5",
    Settings = Outline "M4 7H10M15 7H20M4 17H9M14 17H20M12.5 4.5A2.5 2.5 0 1 1 12.5 9.5\
         A2.5 2.5 0 1 1 12.5 4.5ZM11.5 14.5A2.5 2.5 0 1 1 11.5 19.5A2.5 2.5 0 1 1 11.5 14.5Z",
    /// The seed of a run.
    Dice = Outline "M4 4H20V20H4ZM8.5 8.4V8.6M15.5 8.4V8.6M12 11.9V12.1M8.5 15.4V15.6\
         M15.5 15.4V15.6",
    Trash = Outline "M4 6.5H20M9 6.5V3.5H15V6.5M6 6.5L7 20.5H17L18 6.5M10 10.5V16.5M14 10.5V16.5",
    Upload = Outline "M12 15.5V4M7.5 8L12 3.5L16.5 8M4.5 16V20.5H19.5V16",
    FullScreen = Outline "M4 9V4H9M15 4H20V9M20 15V20H15M9 20H4V15",
    Clock = Outline "M12 3A9 9 0 1 1 12 21A9 9 0 1 1 12 3ZM12 7V12L15.5 14.5",
    Lock = Outline "M5.5 10.5H18.5V20.5H5.5ZM8 10.5V8A4 4 0 0 1 16 8V10.5",
    Book = Outline "M12 6C10 4.5 7 4 3.5 4.5V18.5C7 18 10 18.5 12 20C14 18.5 17 18 20.5 18.5V4.5\
         C17 4 14 4.5 12 6ZM12 6V20",
}

impl Icon {
    /// Returns the icon as a shape of a picture with the view box `0 0 24 24`.
    pub(crate) fn shape(self) -> Shape {
        let class = match self.style() {
            Style::Outline => "icon-outline",
            Style::Solid => "icon-solid",
        };
        path(class, self.path_data().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::path_bounds::path_points;

    #[test]
    fn every_icon_is_inside_its_box() {
        for icon in Icon::ALL {
            // Half of the stroke lies outside of the path.
            let margin = if icon.style() == Style::Outline { 1.0 } else { 0.0 };
            let points = path_points(icon.path_data());
            let (mut low, mut high) = ((f64::MAX, f64::MAX), (f64::MIN, f64::MIN));
            for (x, y) in points {
                low = (low.0.min(x), low.1.min(y));
                high = (high.0.max(x), high.1.max(y));
            }
            let inside = low.0 >= margin && low.1 >= margin;
            let inside = inside && high.0 <= ICON_SIZE - margin && high.1 <= ICON_SIZE - margin;
            assert!(inside, "{icon:?}: {low:?} to {high:?}");
            let size = (high.0 - low.0).max(high.1 - low.1);
            assert!(size >= 11.5, "{icon:?} is only {size} wide");
        }
    }

    #[test]
    fn icons_differ() {
        for (index, icon) in Icon::ALL.iter().enumerate() {
            let same = Icon::ALL[..index].iter().find(|it| it.path_data() == icon.path_data());
            assert_eq!(same, None, "{icon:?}");
        }
    }
}
