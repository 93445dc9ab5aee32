/** Times as people write them, without asking what time it is: that is the runtime's. */

const DAY_MS = 86_400_000;

/** `2026-11-21T12:00:00.000Z`. */
export function isoTime(ms: number): string {
  const days = Math.floor(ms / DAY_MS);
  const { year, month, day } = civilDate(days);
  const left = ms - days * DAY_MS;
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const time = `${two(left / 3_600_000)}:${two((left / 60_000) % 60)}:${two((left / 1000) % 60)}.${String(left % 1000).padStart(3, '0')}`;
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${time}Z`;
}

/** ms since the epoch of an ISO date or time, or of a number of ms; undefined when it is neither. */
export function parseTime(text: string): number | undefined {
  if (/^[0-9]{1,16}$/.test(text)) return Number(text);
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

// Years of 400 from the first of March of year 0, so that the leap day is the last of a year.
function civilDate(daysSinceEpoch: number): { year: number; month: number; day: number } {
  const days = daysSinceEpoch + 719_468;
  const era = Math.floor(days / 146_097);
  const dayOfEra = days - era * 146_097;
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1 };
}
