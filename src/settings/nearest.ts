/** The known name that a mistyped one was meant to be. Does not guess when none is near. */

/** The nearest of `names` by edits (insert, delete, replace, swap neighbours), or undefined when more than a third of the letters would change. */
export function nearest(wrong: string, names: Iterable<string>): string | undefined {
  const lower = wrong.toLowerCase();
  let best: string | undefined;
  let bestEdits = Math.floor(Math.max(wrong.length, 3) / 3) + 1;
  for (const name of names) {
    if (Math.abs(name.length - wrong.length) >= bestEdits) continue;
    const edits = editDistance(lower, name.toLowerCase());
    if (edits < bestEdits) [best, bestEdits] = [name, edits];
  }
  return best;
}

/** Damerau's distance, in its form that edits no letter twice. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let edits = Math.min(above[column]! + 1, current[column - 1]! + 1, above[column - 1]! + (same ? 0 : 1));
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) edits = Math.min(edits, before[column - 2]! + 1);
      current.push(edits);
    }
    [before, above] = [above, current];
  }
  return above[b.length]!;
}
