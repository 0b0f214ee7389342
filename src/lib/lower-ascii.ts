/** Case of what protocols compare. */

const upperCase = /[A-Z]+/g
const nonAscii = /[\u0080-\uffff]/

/** Lower case for ASCII letters only, as absl's functions do: other bytes are no letters to a protocol. */
export function lowerAscii(text: string): string {
  if (!nonAscii.test(text)) return text.toLowerCase()
  return text.replaceAll(upperCase, (letters) => letters.toLowerCase())
}
