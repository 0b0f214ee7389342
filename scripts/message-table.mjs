/**
 * Writes protobuf descriptors as the table that src/xds/message-table.ts reads: one line per type, so that a reader
 * decodes the types that it meets and no other. Runs as a part of generate-protos.mjs.
 *
 * | line | is |
 * | --- | --- |
 * | `a.b.Message⇥field⇥field…` | a message |
 * | `=a.b.Enum⇥NAME:number⇥…` | an enum |
 *
 * A field is `name:number:type:flags`. Its type is a scalar's name, `.a.b.Message` or `=a.b.Enum`; `*type` is a list,
 * `{key}type` a map. Its flags are empty, `?` (optional: zero differs from absent), or the index of its oneof.
 */
import { fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'

/** By the number that descriptor.proto gives each; 10, 11 and 14 are group, message and enum. */
const scalars = Object.fromEntries(
  [
    '- double float int64 uint64 int32 fixed64 fixed32 bool string',
    '- - bytes uint32 - sfixed32 sfixed64 sint32 sint64',
  ]
    .join(' ')
    .split(' ')
    .map((name, number) => [number, name])
    .filter(([, name]) => name !== '-'),
)
const messageType = 11
const enumType = 14
const repeated = 3

/** Bytes of a google.protobuf.FileDescriptorSet → the text of the table. */
export function messageTable(image) {
  const lines = []
  for (const file of fromBinary(FileDescriptorSetSchema, image).file) {
    // Of proto2 there are only options of .proto files, which no message carries.
    if (file.syntax !== 'proto3') continue
    const scope = file.package === '' ? '' : `${file.package}.`
    for (const message of file.messageType) addMessage(lines, scope, message)
    for (const item of file.enumType) addEnum(lines, scope, item)
  }
  return `${lines.join('\n')}\n`
}

function addMessage(lines, scope, message) {
  const name = scope + message.name
  const entries = new Map(
    message.nestedType
      .filter((nested) => nested.options?.mapEntry === true)
      .map((entry) => [`.${name}.${entry.name}`, entry]),
  )
  const fields = message.field
    .toSorted((a, b) => a.number - b.number)
    .map((field) => fieldText(name, field, entries))
  lines.push([name, ...fields].join('\t'))
  for (const nested of message.nestedType) {
    if (nested.options?.mapEntry !== true) addMessage(lines, `${name}.`, nested)
  }
  for (const item of message.enumType) addEnum(lines, `${name}.`, item)
}

function addEnum(lines, scope, item) {
  const values = item.value.map((value) => `${value.name}:${value.number}`)
  lines.push([`=${scope}${item.name}`, ...values].join('\t'))
}

function fieldText(message, field, entries) {
  const camelCase = field.name.replaceAll(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase())
  if (field.jsonName !== camelCase) {
    throw new Error(`${message}.${field.name}: json_name ${field.jsonName} is not ${camelCase}`)
  }
  return `${field.name}:${field.number}:${typeText(field, entries)}:${flagsText(field)}`
}

function typeText(field, entries) {
  const entry = field.label === repeated ? entries.get(field.typeName) : undefined
  if (entry !== undefined) {
    const [key, value] = entry.field
    return `{${scalars[key.type]}}${valueTypeText(value)}`
  }
  return `${field.label === repeated ? '*' : ''}${valueTypeText(field)}`
}

function valueTypeText({ type, typeName, name }) {
  if (type === messageType) return typeName
  if (type === enumType) return `=${typeName.slice(1)}`
  if (scalars[type] === undefined) throw new Error(`${name}: type ${type} is not a type of proto3`)
  return scalars[type]
}

function flagsText(field) {
  if (field.proto3Optional) return '?'
  // Where it is not set, 0 is inherited.
  return Object.hasOwn(field, 'oneofIndex') ? String(field.oneofIndex) : ''
}
