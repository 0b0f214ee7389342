/** The fields that both sides know from the start (RFC 7541 appendix A). Index 1 is the first. */
import { fieldName, type FieldName } from './field-name.ts'

export interface TableEntry {
  readonly name: FieldName
  readonly value: string
  readonly isValueValid: boolean
  /** RFC 7541 §4.1: both lengths and 32. */
  readonly size: number
}

export const entryOverhead = 32

export function tableEntry(name: FieldName, value: string, isValueValid: boolean): TableEntry {
  return { name, value, isValueValid, size: name.text.length + value.length + entryOverhead }
}

const fields = `
:authority :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https
:status=200 :status=204 :status=206 :status=304 :status=400 :status=404 :status=500
accept-charset accept-encoding=gzip,~deflate accept-language accept-ranges accept
access-control-allow-origin age allow authorization cache-control content-disposition
content-encoding content-language content-length content-location content-range
content-type cookie date etag expect expires from host if-match if-modified-since
if-none-match if-range if-unmodified-since last-modified link location max-forwards
proxy-authenticate proxy-authorization range referer refresh retry-after server
set-cookie strict-transport-security transfer-encoding user-agent vary via
www-authenticate`

export const staticTable: readonly TableEntry[] = fields
  .trim()
  .split(/\s+/)
  .map((field) => {
    const [name = '', value = ''] = field.split('=')
    return tableEntry(fieldName(name), value.replace('~', ' '), true)
  })
