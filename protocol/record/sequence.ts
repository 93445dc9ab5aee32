/**
 * Arithmetic of producer sequences, which count 0 to 2^31-1 and then begin at 0 again.
 *
 * Promises: the numbers of Kafka's DefaultRecordBatch, without its overflowing intermediate values.
 * Does not: know which sequence is expected next (the producer state does).
 */

const SEQUENCES = 0x8000_0000;

/** The sequence `by` records after `sequence`; both are int32 and not negative. */
export function incrementSequence(sequence: number, by: number): number {
  const next = sequence + by;
  return next < SEQUENCES ? next : next - SEQUENCES;
}

/** The sequence `by` records before `sequence`; both are int32 and not negative. */
export function decrementSequence(sequence: number, by: number): number {
  const previous = sequence - by;
  return previous >= 0 ? previous : previous + SEQUENCES;
}
