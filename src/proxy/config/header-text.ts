/** What a configuration may not put into a header or a path: it would end the line, or the text to those who read C. */
import { type FieldReport, refuse, showValue } from './field-rule.ts'

// oxlint-disable-next-line no-control-regex
const lineEnds = /[\u0000\n\r]/

/** Envoy's rule for header names and values in its configuration, not the stricter one of HTTP. */
export function endsLine(text: string): boolean {
  return lineEnds.test(text)
}

export function checkHeaderText(text: string, report: FieldReport): void {
  if (endsLine(text)) {
    refuse(report, `may hold no NUL, line feed or carriage return (value ${showValue(text)})`)
  }
}

const nonAscii = /[\u0080-\uffff]/

/**
 * Text of a configuration as the heads of messages hold it: a character for each octet of its UTF-8 (latin1). As in Envoy,
 * patterns are over octets too: `.` is one of them.
 */
export function octetsOf(text: string): string {
  return nonAscii.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text
}

const headerBytesMax = 16_384

/** Envoy's ceiling of what a configuration adds. */
export function checkHeaderLength(text: string, report: FieldReport): void {
  if (text.length > headerBytesMax / 4 && Buffer.byteLength(text) > headerBytesMax) {
    refuse(report, `value length must be at most ${headerBytesMax} bytes`)
  }
}

const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/

/** A name that may be changed, in lower case. */
export function checkHeaderName(name: string, verb: string, report: FieldReport): string {
  if (name.startsWith(':') || name === 'host') {
    refuse(report, `:-prefixed or host headers may not be ${verb} (value ${JSON.stringify(name)})`)
  } else if (!token.test(name)) {
    refuse(report, `${JSON.stringify(name)} is not a header name`)
  }
  return name
}
