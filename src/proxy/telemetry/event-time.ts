/** Times in event logs, as protobuf's JSON prints them: a fraction of 0 is left out. */
export function eventTime(nowMs: number): string {
  return new Date(nowMs).toISOString().replace('.000Z', 'Z')
}
