/** Where the access log of a client goes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FileAccessLog } from '../xds/proto/generated/envoy/extensions/access_loggers/file/v3/file.ts'
import { accessLogs } from './access-log.ts'
import { meshSettingsOf } from './input.ts'

for (const { claim, file, keepsStdout, expected } of [
  { claim: 'no file is no log', file: '', keepsStdout: false, expected: undefined },
  { claim: 'a file is a file', file: '/var/log/a', keepsStdout: true, expected: '/var/log/a' },
  {
    claim: 'standard output is the sidecar’s, where nobody else needs it',
    file: '/dev/stdout',
    keepsStdout: false,
    expected: '/dev/stdout',
  },
  {
    claim: 'beside an application whose output is read it is standard error',
    file: '/dev/stdout',
    keepsStdout: true,
    expected: '/dev/stderr',
  },
]) {
  test(claim, () => {
    const [log] = accessLogs(meshSettingsOf({ accessLogFile: file }), { keepsStdout })
    const { value } = log?.configType ?? {}
    assert.equal(value && FileAccessLog.decode(value.value).path, expected)
  })
}
