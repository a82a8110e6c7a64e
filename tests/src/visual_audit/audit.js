// Looks at the page as a user sees it and reports what is wrong with the picture: `visualAudit`
// walks the visible elements and the shapes of all SVG pictures and returns its findings as an
// array of [kind, element, detail]. While a dialog is open, it looks at the dialog alone: what a
// dialog covers is covered on purpose.
//
// Deliberately not reported: what a scroll container hides (it can be scrolled into view), text
// for screen readers only, text with an ellipsis whose whole text is in a title, the size of marks
// on a time axis, which their duration gives (the log has a row for each), and that of the links
// between nodes (the faults of a link are in the menu of its client too).

(() => {
  const TOLERANCE = 1.5;
  const SHAPES = 'rect, circle, ellipse, line, path, polygon, polyline, image';
  const NOT_DRAWN = 'defs, pattern, clipPath, mask, marker, symbol';
  const CONTROLS = 'button, a[href], input:not([type=hidden]), select, textarea, summary, '
    + '[role=button], [role=tab], [role=slider], [data-target]';
  const PANELS = '.panel, dialog, [role=banner], footer, [data-testid=question], .toast';
  const TIME_AXES = '[data-testid=gantt], [data-testid=spacetime], [data-testid=tape], [data-testid=load]';
  const LINKS = '[data-target^=link]';
  const NUMBERS = ['x', 'y', 'width', 'height', 'rx', 'ry', 'r', 'cx', 'cy', 'x1', 'y1', 'x2', 'y2',
    'd', 'points', 'transform', 'font-size', 'viewBox'];
  // Symbols that many fonts lack. Arrows that keys are labelled with are in all of them.
  const RARE_GLYPHS = /[\u2194-\u21ff\u2300-\u23ff\u2460-\u2bff]/u;

  // While the audit runs, every element can be hit, and nothing is on its way to another state.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('*, *::before, *::after { pointer-events: auto !important; '
    + 'transition: none !important; animation: none !important; }');

  let styles, rects, colors, findings, options, scope;

  const style = it => memo(styles, it, () => getComputedStyle(it));
  const rectOf = it => memo(rects, it, () => it.getBoundingClientRect());
  const memo = (map, key, make) => {
    let value = map.get(key);
    if (value === undefined) map.set(key, value = make());
    return value;
  };
  const report = (kind, element, detail) => findings.push([kind, describe(element), detail]);
  const round = it => Math.round(it * 10) / 10;
  const size = it => `${round(it.right - it.left)} by ${round(it.bottom - it.top)} px`;
  const box = (left, top, right, bottom) => ({ left, top, right, bottom });
  const copy = it => box(it.left, it.top, it.right, it.bottom);
  const isEmpty = it => it.right - it.left <= 0 || it.bottom - it.top <= 0;
  const intersection = (a, b) => box(Math.max(a.left, b.left), Math.max(a.top, b.top),
    Math.min(a.right, b.right), Math.min(a.bottom, b.bottom));
  const overlap = (a, b) => {
    const both = intersection(a, b);
    return both.right - both.left > 1 && both.bottom - both.top > 1 ? both : null;
  };
  const shorten = it => {
    const text = it.replace(/\s+/g, ' ').trim();
    return text.length > 40 ? `${text.slice(0, 39)}…` : text;
  };
  const isSvg = it => it instanceof SVGElement && !(it instanceof SVGSVGElement);

  function describe(element) {
    const named = element.closest('[data-testid], [id]');
    const where = named ? `${named.dataset.testid ?? named.id} ` : '';
    const name = element.getAttribute('class')?.trim().split(/\s+/).join('.') ?? '';
    const text = shorten(element.textContent ?? '') || shorten(element.getAttribute('aria-label') ?? '');
    return `${where}${element.localName}${name && `.${name}`}${text && ` "${text}"`}`;
  }

  const isVisible = it => it.checkVisibility({ opacityProperty: true, visibilityProperty: true,
    checkOpacity: true, checkVisibilityCSS: true });

  // Text for screen readers is one pixel large, or clipped to nothing.
  function isForScreenReaders(element) {
    for (let it = element; it && it !== document.body; it = it.parentElement) {
      const { clipPath, clip, position } = style(it);
      if (clipPath.startsWith('inset(50%') || (clip !== 'auto' && position === 'absolute')) return true;
      const { width, height } = rectOf(it);
      if (style(it).overflowX === 'hidden' && width <= 1 && height <= 1) return true;
    }
    return false;
  }

  // Follows a rectangle up to the root. Returns the part that no scroll container hides, and the
  // element that cuts something off for good, if there is one.
  function clip(element, rect, across = TOLERANCE) {
    let visible = copy(rect), cutBy = null, position = style(element).position;
    for (let it = element; it && it !== document.body; it = it.parentElement) {
      const itStyle = style(it);
      const isContainer = it === element || position !== 'absolute' || itStyle.position !== 'static';
      if (!isContainer) continue;
      if (position === 'fixed' && it !== element) break;
      if (it !== element && itStyle.position !== 'static') position = itStyle.position;
      const { overflowX, overflowY } = itStyle;
      if (isSvg(it) || (overflowX === 'visible' && overflowY === 'visible')) continue;
      if (itStyle.display === 'inline') continue;
      const outer = rectOf(it), border = edge => parseFloat(itStyle[`border${edge}Width`]) || 0;
      const inner = box(outer.left + border('Left'), outer.top + border('Top'),
        outer.right - border('Right'), outer.bottom - border('Bottom'));
      const cuts = overflow => overflow === 'hidden' || overflow === 'clip';
      if (cuts(overflowX) && (visible.left < inner.left - TOLERANCE
        || visible.right > inner.right + TOLERANCE)) cutBy ??= it;
      if (cuts(overflowY) && (visible.top < inner.top - across
        || visible.bottom > inner.bottom + across)) cutBy ??= it;
      if (overflowX !== 'visible') {
        visible.left = Math.max(visible.left, inner.left);
        visible.right = Math.min(visible.right, inner.right);
      }
      if (overflowY !== 'visible') {
        visible.top = Math.max(visible.top, inner.top);
        visible.bottom = Math.min(visible.bottom, inner.bottom);
      }
      const scrolls = [overflowX, overflowY].some(it => it === 'auto' || it === 'scroll');
      if (isEmpty(visible)) return { visible: null, cutBy: scrolls ? null : cutBy };
    }
    return { visible, cutBy };
  }

  // ---- Colours

  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });

  // Returns red, green, blue and alpha, the latter from 0 to 1.
  function color(text) {
    return memo(colors, text, () => {
      const plain = /^rgba?\((\d+), (\d+), (\d+)(?:, ([\d.]+))?\)$/.exec(text);
      if (plain) return [+plain[1], +plain[2], +plain[3], +(plain[4] ?? 1)];
      if (!text || text === 'none' || text === 'transparent' || text.startsWith('url')) return [0, 0, 0, 0];
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      return [r, g, b, a / 255];
    });
  }

  const withAlpha = ([r, g, b, a], factor) => [r, g, b, a * factor];
  const over = ([r, g, b, a], [r2, g2, b2]) =>
    [r * a + r2 * (1 - a), g * a + g2 * (1 - a), b * a + b2 * (1 - a), 1];

  function opacity(element) {
    let product = 1;
    for (let it = element; it; it = it.parentElement) product *= parseFloat(style(it).opacity);
    return product;
  }

  // What an element paints where it is hit: a shape without a fill is hit on its stroke only.
  function paintOf(element) {
    const itStyle = style(element);
    if (isSvg(element)) {
      if (element.localName === 'g' || element.localName === 'text') return [0, 0, 0, 0];
      const isStroke = element.localName === 'line' || itStyle.fill === 'none';
      const [paint, alpha] = isStroke ? [itStyle.stroke, itStyle.strokeOpacity]
        : [itStyle.fill, itStyle.fillOpacity];
      return withAlpha(color(paint), parseFloat(alpha) * opacity(element));
    }
    return withAlpha(color(itStyle.backgroundColor), opacity(element));
  }

  function luminance([r, g, b]) {
    const linear = value => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  }

  function contrast(a, b) {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  }

  function background(element, x, y) {
    const stack = document.elementsFromPoint(x, y);
    if (stack.length === 0) {
      // Outside of the window, only the ancestors are known.
      for (let it = element; it; it = it.parentElement) stack.push(it);
    }
    const from = stack.findIndex(it => it === element || it.contains(element));
    const layers = [];
    for (const it of stack.slice(Math.max(from, 0))) {
      if (it === element && isSvg(it)) continue;
      const paint = paintOf(it);
      if (paint[3] > 0) layers.push(paint);
      if (paint[3] > 0.99) break;
    }
    const isDark = style(document.documentElement).colorScheme === 'dark';
    const canvasColor = isDark ? [18, 18, 18, 1] : [255, 255, 255, 1];
    return layers.reduceRight((below, layer) => over(layer, below), canvasColor);
  }

  function checkContrast({ element, visible }) {
    if (element.closest(':disabled, [aria-disabled=true]')) return;
    const itStyle = style(element);
    const rect = visible[0];
    const [x, y] = [(rect.left + rect.right) / 2, (rect.top + rect.bottom) / 2];
    const ink = color(isSvg(element) ? itStyle.fill : itStyle.color);
    // A text with an outline in the colour of the background brings its own background.
    const hasOutline = isSvg(element) && itStyle.paintOrder.startsWith('stroke')
      && parseFloat(itStyle.strokeWidth) >= 2 && color(itStyle.stroke)[3] > 0.5;
    const below = hasOutline ? color(itStyle.stroke) : background(element, x, y);
    const ratio = contrast(over(withAlpha(ink, opacity(element)), below), below);
    const fontSize = parseFloat(itStyle.fontSize);
    const isLarge = fontSize >= 24 || (fontSize >= 18.66 && parseInt(itStyle.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5) - 0.005) {
      report('contrast', element, `${ratio.toFixed(2)}, ${ink.slice(0, 3).map(Math.round)} on `
        + `${below.slice(0, 3).map(Math.round)}`);
    }
  }

  // ---- Texts

  // Returns the visible texts: the element that gives each its style, and a rectangle for each line.
  function texts() {
    const all = [], walker = document.createTreeWalker(scope, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement;
      if (!node.data.trim() || element.closest('option, script, style, title, desc')) continue;
      if (element.closest(NOT_DRAWN) || !isVisible(element) || isForScreenReaders(element)) continue;
      let lines;
      if (isSvg(element)) {
        lines = [rectOf(element)];
      } else {
        const range = document.createRange();
        range.selectNodeContents(node);
        lines = [...range.getClientRects()];
      }
      lines = lines.filter(it => !isEmpty(it));
      if (lines.length === 0 || lines.every(isParked)) continue;
      const across = 0.25 * parseFloat(style(element).fontSize);
      const clipped = lines.map(it => clip(element, it, across));
      const visible = clipped.map(it => it.visible).filter(it => it);
      const cutBy = clipped.map(it => it.cutBy).find(it => it);
      all.push({ element, text: node.data.trim(), lines, visible, cutBy });
    }
    return all;
  }

  // An element that waits outside of the window until it gets the focus, such as a skip link.
  const isParked = it => it.right <= 0 || it.bottom <= 0;

  function hasWholeText(element, text) {
    const titled = element.closest('[title]');
    return titled !== null && titled.title.replace(/\s+/g, ' ').includes(text.replace(/\s+/g, ' '));
  }

  // An ellipsis can be meant, as in "flushing…": then the label of the whole has it too.
  function isWholeLabel(element, text) {
    return (element.closest('[aria-label]')?.getAttribute('aria-label') ?? '').includes(text);
  }

  function checkClipping({ element, text, lines, visible, cutBy }) {
    if (cutBy) {
      const hasEllipsis = style(cutBy).textOverflow === 'ellipsis';
      if (!hasEllipsis || !hasWholeText(element, text)) {
        report('clipped_text', element, `cut off by ${describe(cutBy)}`);
      }
      return;
    }
    if (isSvg(element) && text.endsWith('…') && !isWholeLabel(element, text)) {
      report('clipped_text', element, 'shortened');
      return;
    }
    const button = element.closest('button, [role=button], kbd, .chip');
    if (button && !isSvg(button)) {
      const outer = rectOf(button);
      if (lines.some(it => it.left < outer.left - 1 || it.right > outer.right + 1)) {
        report('clipped_text', element, 'wider than its button');
        return;
      }
    }
    const scrollsDown = document.documentElement.scrollHeight > innerHeight + 1;
    const isOutside = it => it.left < -TOLERANCE || it.right > innerWidth + TOLERANCE
      || it.top < -TOLERANCE && !scrollsDown || it.bottom > innerHeight + TOLERANCE && !scrollsDown;
    if (visible.some(isOutside)) report('clipped_text', element, 'cut off by the window');
  }

  // The part of a line that letters fill: lines of text touch each other by design.
  function letters(it) {
    const inset = (it.bottom - it.top) * 0.2;
    return box(it.left + 0.5, it.top + inset, it.right - 0.5, it.bottom - inset);
  }

  const isTextElement = it => it.localName === 'text' || it.localName === 'tspan';

  // Returns the element that hides this one at a point, or null.
  function coveredBy(element, x, y) {
    for (const it of document.elementsFromPoint(x, y)) {
      if (it === element || it.contains(element) || element.contains(it)) return null;
      const { width, height } = rectOf(it);
      // The line of the play head may cross anything.
      if (Math.min(width, height) <= 3) continue;
      if (!isTextElement(it) && paintOf(it)[3] > 0.3) return it;
    }
    return null;
  }

  function checkOverlaps(all) {
    const lines = all.flatMap(({ element, visible }) => visible.map(it => [element, letters(it)]));
    lines.sort((a, b) => a[1].left - b[1].left);
    const seen = new Set();
    lines.forEach(([element, rect], index) => {
      for (let next = index + 1; next < lines.length && lines[next][1].left < rect.right; next++) {
        const [other, otherRect] = lines[next];
        if (element === other || element.contains(other) || other.contains(element)) continue;
        const both = overlap(rect, otherRect);
        if (!both) continue;
        const [x, y] = [(both.left + both.right) / 2, (both.top + both.bottom) / 2];
        if (coveredBy(element, x, y) || coveredBy(other, x, y)) continue;
        const pair = `${describe(element)} ${describe(other)}`;
        if (!seen.has(pair)) report('overlapping_texts', element, `and ${describe(other)}, ${size(both)}`);
        seen.add(pair);
      }
    });
  }

  function checkCover({ element, visible }) {
    for (const rect of visible) {
      const y = (rect.top + rect.bottom) / 2;
      for (const x of [rect.left + 2, (rect.left + rect.right) / 2, rect.right - 2]) {
        if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) continue;
        const cover = coveredBy(element, x, y);
        if (cover) {
          report('covered_text', element, `by ${describe(cover)}`);
          return;
        }
      }
    }
  }

  function checkGlyphs({ element, text }) {
    const glyph = RARE_GLYPHS.exec(text)?.[0];
    if (glyph) report('font_glyph', element, `U+${glyph.codePointAt(0).toString(16).toUpperCase()} ${glyph}`);
  }

  // ---- Pictures

  // Returns whether an arc of a path is not drawn, or is drawn on the wrong side: its ends coincide,
  // or are so close to each other that rounding decides where its centre is.
  function hasEmptyArc(d) {
    let x = 0, y = 0, startX = 0, startY = 0;
    for (const [, command, rest] of d.matchAll(/([a-zA-Z])([^a-zA-Z]*)/g)) {
      const n = (rest.match(/-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?/g) ?? []).map(Number);
      const isRelative = command !== command.toUpperCase();
      const [fromX, fromY] = isRelative ? [x, y] : [0, 0];
      switch (command.toUpperCase()) {
        case 'H': x = fromX + n.at(-1); break;
        case 'V': y = fromY + n.at(-1); break;
        case 'Z': [x, y] = [startX, startY]; break;
        case 'A': {
          const [toX, toY] = [fromX + n[5], fromY + n[6]];
          if (Math.hypot(toX - x, toY - y) < 0.25 || n[0] <= 0 || n[1] <= 0) return true;
          [x, y] = [toX, toY];
          break;
        }
        default: if (n.length >= 2) [x, y] = [fromX + n.at(-2), fromY + n.at(-1)];
      }
      if (command.toUpperCase() === 'M') [startX, startY] = [x, y];
    }
    return false;
  }

  function hasNoSize(shape) {
    const number = name => parseFloat(shape.getAttribute(name) ?? '0');
    switch (shape.localName) {
      case 'rect': return !(number('width') > 0 && number('height') > 0);
      case 'circle': return !(number('r') > 0);
      case 'line': return number('x1') === number('x2') && number('y1') === number('y2');
      case 'path': return !(shape.getAttribute('d') ?? '').trim();
      default: return false;
    }
  }

  function checkPicture(svg) {
    const frame = rectOf(svg);
    for (const shape of svg.querySelectorAll(`${SHAPES}, text, g`)) {
      if (shape.closest(NOT_DRAWN) || shape.ownerSVGElement !== svg || !isVisible(shape)) continue;
      const broken = NUMBERS.find(it => /NaN|Infinity|undefined/.test(shape.getAttribute(it) ?? ''));
      if (broken) {
        report('bad_shape', shape, `${broken} is ${shape.getAttribute(broken)}`);
        continue;
      }
      if (shape.localName === 'g' || shape.localName === 'text') continue;
      if (hasNoSize(shape)) {
        report('bad_shape', shape, 'has no size');
        continue;
      }
      if (shape.localName === 'path' && hasEmptyArc(shape.getAttribute('d'))) {
        report('empty_arc', shape, shape.getAttribute('d'));
      }
      if (shape.closest('[clip-path]') || clipsItself(shape, svg)) continue;
      if (paintOf(shape)[3] === 0 && color(style(shape).stroke)[3] === 0) continue;
      const it = rectOf(shape);
      const beyond = Math.max(frame.left - it.left, frame.top - it.top, it.right - frame.right,
        it.bottom - frame.bottom);
      if (beyond > TOLERANCE) report('outside_view_box', shape, `by ${round(beyond)} px`);
    }
  }

  function clipsItself(shape, svg) {
    for (let it = shape; it && it !== svg; it = it.parentElement) {
      if (style(it).clipPath !== 'none') return true;
    }
    return false;
  }

  // ---- Layout and controls

  function checkPanels() {
    const reported = new Set();
    for (const element of scope.querySelectorAll('*')) {
      const panel = element.parentElement?.closest(PANELS);
      if (!panel || !scope.contains(panel) || isSvg(element) || reported.has(element.parentElement)) {
        if (reported.has(element.parentElement)) reported.add(element);
        continue;
      }
      if (style(element).position === 'fixed' || !isVisible(element)) continue;
      const rect = rectOf(element);
      if (isEmpty(rect) || isParked(rect) || isForScreenReaders(element)) continue;
      // What the panel itself hides counts as outside; what scrolls inside of it does not.
      let visible = copy(rect);
      for (let it = element.parentElement; it && it !== panel; it = it.parentElement) {
        if (style(it).overflowX === 'visible' && style(it).overflowY === 'visible') continue;
        visible = intersection(visible, rectOf(it));
      }
      const panelStyle = style(panel), outer = rectOf(panel);
      const scrolls = ['auto', 'scroll'].includes(panelStyle.overflowY)
        || ['auto', 'scroll'].includes(panelStyle.overflowX);
      if (isEmpty(visible) || scrolls) continue;
      const beyond = Math.max(outer.left - visible.left, outer.top - visible.top,
        visible.right - outer.right, visible.bottom - outer.bottom);
      if (beyond > TOLERANCE) {
        report('outside_panel', element, `by ${round(beyond)} px, outside of ${describe(panel).split(' "')[0]}`);
        reported.add(element);
      }
    }
  }

  // Returns the rectangle in which a control can be hit; a checkbox also by its label.
  function hitRect(control) {
    const label = control.closest('label');
    return label && rectOf(label).height > rectOf(control).height ? rectOf(label) : rectOf(control);
  }

  function controls() {
    const all = [...scope.querySelectorAll(CONTROLS)];
    return all.filter(it => isVisible(it) && !isForScreenReaders(it) && !isParked(rectOf(it))
      && !isEmpty(rectOf(it)) && clip(it, rectOf(it)).visible);
  }

  function checkControls() {
    const all = controls();
    for (const control of all) {
      const { width, height } = hitRect(control);
      // A crowd on a phone has no room for the size that a finger needs.
      const smallest = options.touch && !isSvg(control) ? 44 : 24;
      // A term is a button in a sentence. Browsers report buttons as inline blocks.
      const isInline = style(control).display === 'inline' || control.classList.contains('term');
      const isExempt = isSvg(control) && control.closest(`${TIME_AXES}, ${LINKS}`);
      if (!isInline && !isExempt && Math.min(width, height) < smallest - 0.5) {
        report('small_target', control, `${round(width)} by ${round(height)} px`);
      }
      if (!nameOf(control)) report('unnamed_control', control, control.outerHTML.slice(0, 80));
      if (control.getAttribute('role') === 'img') report('image_role', control, 'can be activated');
    }
    for (const image of scope.querySelectorAll('[role=img][tabindex], [role=img][onclick]')) {
      if (!all.includes(image) && isVisible(image)) report('image_role', image, 'can be activated');
    }
    checkControlOverlaps(all.filter(it => !isSvg(it)));
  }

  function checkControlOverlaps(all) {
    const header = scope.querySelector('[role=banner]');
    const parts = header === null ? [] : [...header.querySelectorAll('*')].filter(it =>
      !isSvg(it) && isVisible(it) && [...it.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
    const headerParts = [...new Set([...parts, ...all.filter(it => header?.contains(it))])];
    for (const [kind, list] of [['overlapping_header', headerParts],
      ['overlapping_controls', all.filter(it => !header?.contains(it))]]) {
      const boxes = list.map(it => [it, clip(it, rectOf(it)).visible]).filter(it => it[1]);
      boxes.forEach(([control, rect], index) => {
        for (const [other, otherRect] of boxes.slice(index + 1)) {
          if (control.contains(other) || other.contains(control)) continue;
          const both = overlap(rect, otherRect);
          if (!both) continue;
          const [x, y] = [(both.left + both.right) / 2, (both.top + both.bottom) / 2];
          const isHidden = it => it !== null && it !== control && it !== other;
          if (isHidden(coveredBy(control, x, y)) && isHidden(coveredBy(other, x, y))) continue;
          report(kind, control, `and ${describe(other)}, ${size(both)}`);
        }
      });
    }
  }

  function nameOf(control) {
    const byId = (control.getAttribute('aria-labelledby') ?? '').split(/\s+/)
      .map(id => id && document.getElementById(id)?.textContent).join('');
    const label = [...(control.labels ?? [])].map(it => it.textContent).join('');
    const own = [control.getAttribute('aria-label'), byId, label, control.getAttribute('title'),
      spoken(control), control.querySelector(':scope > title')?.textContent];
    return own.some(it => it?.trim());
  }

  function spoken(element) {
    if (element.getAttribute('aria-hidden') === 'true') return '';
    return [...element.childNodes].map(node => {
      if (node.nodeType === 3) return node.data;
      return node.nodeType === 1 ? node.getAttribute('alt') ?? spoken(node) : '';
    }).join(' ');
  }

  // Options: `touch` if controls are pressed by a finger; `colorsOnly` if the layout has been
  // checked in another theme.
  window.visualAudit = given => {
    options = given;
    [styles, rects, colors, findings] = [new Map(), new Map(), new Map(), []];
    scope = [...document.querySelectorAll('dialog:modal, [role=dialog]')].at(-1) ?? document.body;
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    try {
      const all = texts();
      const inSight = all.filter(it => it.visible.length > 0);
      inSight.forEach(checkContrast);
      if (options.colorsOnly) return findings;
      all.forEach(checkClipping);
      checkOverlaps(inSight);
      inSight.forEach(checkCover);
      inSight.forEach(checkGlyphs);
      for (const svg of scope.querySelectorAll('svg')) if (isVisible(svg)) checkPicture(svg);
      checkPanels();
      checkControls();
      return findings;
    } finally {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter(it => it !== sheet);
    }
  };
})();
