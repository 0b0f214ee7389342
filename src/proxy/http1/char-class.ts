/** Which octets may stand where in HTTP/1.1 (RFC 9110 §5.6.2, §5.5; RFC 3986 §3.3), as tables of 256 flags. */

const tokenMarks = "!#$%&'*+-.^_`|~"

/** tchar. */
export const isToken = flags((code) => isAlphanumeric(code) || tokenMarks.includes(char(code)))

/** field-vchar, SP, HTAB and obs-text: everything but controls. */
export const isFieldValue = flags((code) => code === 0x09 || (code >= 0x20 && code !== 0x7f))

/** What a request target may hold: visible ASCII. A fragment is refused with the path, as Envoy does. */
export const isTarget = flags((code) => code > 0x20 && code < 0x7f)

/** Value of a hexadecimal digit, or 255. */
export const hexValue = Uint8Array.from({ length: 256 }, (_, code) => {
  const digit = '0123456789abcdef'.indexOf(char(code).toLowerCase())
  return digit === -1 ? 255 : digit
})

/** Whether every octet of `text` is in `table`. */
export function isAll(table: Uint8Array, text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (table[text.charCodeAt(index)] !== 1) return false
  }
  return true
}

function flags(isIn: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (isIn(code) ? 1 : 0))
}

function isAlphanumeric(code: number): boolean {
  return /[0-9A-Za-z]/.test(char(code))
}

function char(code: number): string {
  return String.fromCharCode(code)
}
