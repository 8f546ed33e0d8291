//! Hours of the week as a word: `off@12345/00:00-01:00,10:00-24:00@67/00:00-24:00`, with days from 1
//! for Monday to 7.

use gateway_core::PriceWindow;
use std::fmt::Write as _;

/// The beginning of the word.
pub(super) const PREFIX: &str = "off@";

/// Writes windows as a word, behind a space. Windows of the same days that stand together share them.
pub(super) fn write(windows: &[PriceWindow], out: &mut String) {
    out.push_str(" off");
    let mut last_days = None;
    for window in windows {
        if last_days == Some(window.days()) {
            out.push(',');
        } else {
            out.push('@');
            let has = |day: &u8| window.days() & (1 << (day - 1)) != 0;
            out.extend((1..=7_u8).filter(has).map(|day| char::from(b'0' + day)));
            out.push('/');
            last_days = Some(window.days());
        }
        let (from, to) = window.minutes();
        let _ = write!(out, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60);
    }
}

/// Reads windows from what is behind [`PREFIX`].
pub(super) fn parse(text: &str) -> Option<Vec<PriceWindow>> {
    let mut windows = Vec::new();
    for group in text.split('@') {
        let (days, times) = group.split_once('/')?;
        let days = days.chars().try_fold(0_u8, |days, digit| {
            let day = digit.to_digit(10).filter(|day| (1..=7).contains(day))?;
            Some(days | 1 << (day - 1))
        })?;
        for time in times.split(',') {
            let (from, to) = time.split_once('-')?;
            windows.push(PriceWindow::new(days, minute(from)?, minute(to)?)?);
        }
    }
    Some(windows)
}

/// Reads a time of the day as its minute, `24:00` included.
pub(crate) fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let is_number = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| is_number(text).then(|| text.parse::<u16>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 24 && minutes < 60).then_some(hours * 60 + minutes)
}
