/** `tulle test PATH…`: requests and where they must lead, as RouteTests say; for CI, without a running mesh. */
import type { Command } from '../command.ts'
import { runRouteTests, type RouteTestRun } from '../route-test/run-route-tests.ts'
import {
  humanReport,
  junitReport,
  tapReport,
  type ReportOptions,
} from '../route-test/test-report.ts'

type Report = (run: RouteTestRun, options: ReportOptions) => string

const reports: Readonly<Record<string, Report>> = { tap: tapReport, junit: junitReport }

export const testCommand: Command = {
  name: 'test',
  summary: 'run the route tests that stand in files beside the routes',
  description:
    'Reads files and folders as analyze does. Each RouteTest (kind: RouteTest, apiVersion tulle.dev/v1alpha1) has ' +
    'cases: given a request, expect a destination, shares, a rewrite, a status, a redirect, headers, a time-out. ' +
    "The routes are translated as a mesh would, and the proxy's own matchers decide. Exit code 0: all pass; 1: one " +
    'fails, or the files have errors; 2: misuse, or no test.',
  arguments: [{ name: '<path...>', summary: 'files and folders of YAML; - is standard input' }],
  flags: [
    {
      flags: '-o, --output <format>',
      summary: 'table, json, yaml, tap or junit',
      default: 'table',
      choices: ['table', 'json', 'yaml', 'tap', 'junit'],
    },
    { flags: '-n, --namespace <namespace>', summary: 'namespace of resources that name none' },
  ],
  examples: [
    { command: 'tulle test mesh.yaml', does: 'a mesh file with all that it names' },
    { command: 'tulle test config/ -o junit > routes.xml', does: 'a report for CI' },
  ],
  async run({ arguments: paths, flags, context }) {
    const run = await runRouteTests({
      paths,
      namespace: flags.text('namespace'),
      readInput: context.readInput,
    })
    const isGood =
      run.errors.length === 0 && run.results.every(({ mismatches }) => mismatches.length === 0)
    const report = reports[flags.text('output') ?? ''] ?? humanReport
    return {
      exitCode: isGood ? 0 : 1,
      output: { data: dataOf(run), view: { kind: 'text', text: report(run, context) } },
    }
  },
}

function dataOf({ results, errors }: RouteTestRun) {
  return {
    tests: results.map(({ name, resource, file, line, mismatches, report }) => ({
      name,
      resource,
      file,
      line,
      passed: mismatches.length === 0,
      mismatches,
      ...(report && { verdict: report.verdict, rules: report.rules }),
    })),
    errors,
  }
}
