/** What is wrong with JSON that should be a message. */
import { showJson } from './json-value.ts'

/** Its message is the path of the field, and why. */
export class JsonMistake extends Error {
  constructor(path: string, reason: string) {
    super(path === '' ? reason : `${path}: ${reason}`)
  }
}

/** `"FOO" is not a valid a.b.Enum`. */
export function invalidValue(path: string, json: unknown, typeName: string): JsonMistake {
  return new JsonMistake(path, `${showJson(json)} is not a valid ${typeName}`)
}
