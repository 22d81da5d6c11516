//! Draws the screen: broadcasts, quotas, jobs and scripts, and a line at the bottom.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table, TableState};

use crate::core::JobState;

use super::poller::{ListedBroadcast, TopSnapshot};
use super::screen::{Pane, TopScreen};
use super::words;
use crate::core::one_line;

/// The width from which on there is room for everything.
const WIDE: u16 = 100;

/// The maximum number of lines about what waits for a person.
const NEEDS: u16 = 4;

/// The maximum number of lines in the quotas' pane.
const QUOTAS: u16 = 4;

pub(super) fn draw(frame: &mut Frame<'_>, screen: &mut TopScreen, seen: &TopSnapshot) {
    let area = frame.area();
    let rows = |count: usize, most: u16| u16::try_from(count).unwrap_or(most).clamp(1, most) + 1;
    let stale = seen.scripts.iter().filter(|script| script.error.is_some()).count();
    let needs = if seen.needs.is_empty() { 0 } else { rows(seen.needs.len(), NEEDS) };
    let [title, needed, broadcasts, quotas, jobs, scripts, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(needs),
        Constraint::Min(4),
        Constraint::Length(rows(seen.quotas.len(), QUOTAS)),
        Constraint::Length(rows(seen.jobs.len(), (area.height / 4).max(1))),
        Constraint::Length(rows(seen.scripts.len().min(stale + 3), (area.height / 5).max(1))),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(screen.title.text(seen.at)).style(bold()), title);
    if needs > 0 {
        draw_needs(frame, needed, seen);
    }
    draw_broadcasts(frame, broadcasts, screen, seen);
    draw_quotas(frame, quotas, seen);
    draw_jobs(frame, jobs, screen, seen);
    draw_scripts(frame, scripts, screen, seen);
    frame.render_widget(Paragraph::new(screen.foot()).style(foot_style(screen)), foot);
}

fn draw_needs(frame: &mut Frame<'_>, area: Rect, seen: &TopSnapshot) {
    let lines =
        seen.needs.iter().map(|need| Line::styled(one_line(&need.text), Style::new().fg(Color::Yellow)));
    let block = head(format!("needs you ({})", seen.needs.len()), false);
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), area);
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn foot_style(screen: &TopScreen) -> Style {
    if screen.asks() { Style::new().fg(Color::Yellow) } else { Style::new().add_modifier(Modifier::DIM) }
}

/// A pane's title line. It is highlighted if the pane is selected.
fn head<'a>(text: String, chosen: bool) -> Block<'a> {
    let style = if chosen { bold().fg(Color::Cyan) } else { Style::new().add_modifier(Modifier::DIM) };
    Block::new().borders(Borders::TOP).title(Span::styled(text, style)).border_style(style)
}

/// A table. Its selected line is highlighted if its pane is selected.
fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    pane: Pane,
    screen: &mut TopScreen,
    heading: String,
    rows: Vec<Row<'_>>,
    widths: &[Constraint],
) {
    let chosen = screen.pane == pane;
    let count = rows.len();
    let table = Table::new(rows, widths.iter().copied())
        .block(head(heading, chosen))
        .column_spacing(1)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let line = screen.line(pane, count);
    let mut state = TableState::default().with_selected((chosen && count > 0).then_some(line));
    frame.render_stateful_widget(table, area, &mut state);
}

fn colour(standing: &ListedBroadcast) -> Color {
    let counts = &standing.view.counts;
    if counts.rejected + counts.in_doubt > 0 {
        Color::Red
    } else if standing.paused || (!standing.view.over && !standing.driven) {
        Color::Yellow
    } else if standing.view.over {
        Color::DarkGray
    } else {
        Color::Green
    }
}

fn draw_broadcasts(frame: &mut Frame<'_>, area: Rect, screen: &mut TopScreen, seen: &TopSnapshot) {
    let wide = area.width >= WIDE;
    let bar_width = if wide { 20 } else { 8 };
    let rows: Vec<Row<'_>> = seen
        .broadcasts
        .iter()
        .map(|one| {
            let bar = Cell::from(words::bar(one, bar_width)).style(Style::new().fg(colour(one)));
            let cells = [
                Cell::from(words::name(one)),
                bar,
                Cell::from(words::counts(one)),
                Cell::from(words::rate(one)),
                Cell::from(words::rest(one)),
            ];
            let short = [0, 1, 2, 4];
            let all = cells.into_iter().enumerate();
            Row::new(
                all.filter(|(at, _)| wide || short.contains(at)).map(|(_, cell)| cell).collect::<Vec<_>>(),
            )
        })
        .collect();
    let bar = u16::try_from(bar_width).unwrap_or(8);
    let widths: &[Constraint] = if wide {
        &[
            Constraint::Fill(3),
            Constraint::Length(bar),
            Constraint::Length(24),
            Constraint::Length(14),
            Constraint::Fill(3),
        ]
    } else {
        &[Constraint::Fill(3), Constraint::Length(bar), Constraint::Length(12), Constraint::Fill(2)]
    };
    let going = seen.broadcasts.iter().filter(|one| !one.view.over).count();
    table(frame, area, Pane::Broadcasts, screen, format!("broadcasts ({going} unfinished)"), rows, widths);
}

fn draw_quotas(frame: &mut Frame<'_>, area: Rect, seen: &TopSnapshot) {
    let block = head("quotas, the last 10 minutes".to_owned(), false);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let lines = Layout::vertical(vec![Constraint::Length(1); usize::from(inside.height)]).split(inside);
    for (quota, line) in seen.quotas.iter().zip(lines.iter()) {
        let [name, graph, usage] =
            Layout::horizontal([Constraint::Length(16), Constraint::Fill(1), Constraint::Length(28)])
                .spacing(1)
                .areas(*line);
        frame.render_widget(Paragraph::new(words::quota(quota)), name);
        let newest = quota.spans.len().saturating_sub(usize::from(graph.width));
        let colour = if quota.throttled > 0 { Color::Red } else { Color::Cyan };
        let spark = Sparkline::default()
            .data(quota.spans.iter().skip(newest))
            .max(quota.most_in_a_span())
            .style(Style::new().fg(colour));
        frame.render_widget(spark, graph);
        frame.render_widget(Paragraph::new(words::usage(quota)), usage);
    }
}

fn draw_jobs(frame: &mut Frame<'_>, area: Rect, screen: &mut TopScreen, seen: &TopSnapshot) {
    let rows = seen.jobs.iter().map(|job| {
        let failed = job.last.as_ref().is_some_and(|run| {
            matches!(run.state, JobState::Failed | JobState::Interrupted | JobState::Undelivered)
        });
        let last = Cell::from(words::last(job, seen.at));
        let last = if failed { last.style(Style::new().fg(Color::Red)) } else { last };
        Row::new(vec![Cell::from(job.name.clone()), Cell::from(words::next(job, seen.at)), last])
    });
    let widths = [Constraint::Fill(1), Constraint::Length(21), Constraint::Fill(1)];
    let heading = format!("jobs ({})", seen.jobs.len());
    table(frame, area, Pane::Jobs, screen, heading, rows.collect(), &widths);
}

fn draw_scripts(frame: &mut Frame<'_>, area: Rect, screen: &mut TopScreen, seen: &TopSnapshot) {
    let rows = seen.scripts.iter().map(|script| {
        let refused = script.error.is_some();
        let style = if refused { Style::new().fg(Color::Red) } else { Style::new() };
        let text = Line::styled(words::script(script, seen.at), style);
        Row::new(vec![Cell::from(script.name.clone()), Cell::from(text)])
    });
    let stale = seen.scripts.iter().filter(|script| script.error.is_some()).count();
    let heading = format!("scripts ({}, {stale} failed to load)", seen.scripts.len());
    table(
        frame,
        area,
        Pane::Scripts,
        screen,
        heading,
        rows.collect(),
        &[Constraint::Fill(1), Constraint::Fill(2)],
    );
}
