/** Whether the path arrives as the server expects it, for cards and for media. */
import { right, wrong, type Finding } from '../finding.ts';
import { reportIn } from '../report.ts';
import { step, type Visit } from '../visit.ts';
import { byWhom, quoted } from '../words.ts';

export async function checkPath({ report }: Visit): Promise<Finding[]> {
  if (report === undefined) return [];
  const above = report.path.replace(/\/+sync\/+doctor\/*$/, '');
  if (above === '') return [right('path', 'arrives as it should')];
  if (/(^|\/)m?sync$/.test(above)) {
    return [wrong('path', 'ADDRESS_DOUBLED_SYNC', `${quoted(report.path)} arrives at the server: sync/ twice`)];
  }
  return [wrong('path', 'SUBPATH_NOT_STRIPPED', `${quoted(report.path)} arrives at the server in place of /sync/doctor: the proxy leaves ${quoted(above)} in`)];
}

/** A proxy may pass one of the two alone. */
export async function checkMediaPath(visit: Visit): Promise<Finding[]> {
  if (visit.kind !== 'ours') {
    const { status, headers } = await step(visit, 'msync/begin');
    if (status === 403 || status === 400) return [right('media', 'msync/ leads to the server')];
    return [wrong('media', 'MEDIA_NOT_PASSED', `msync/ does not lead to the server: ${status}${byWhom(headers)}`)];
  }
  const answer = await step(visit, 'msync/doctor');
  if (reportIn(answer) !== undefined) return [right('media', 'msync/ leads to the server')];
  return [wrong('media', 'MEDIA_NOT_PASSED', `msync/ does not lead to the server: ${answer.status}${byWhom(answer.headers)}`)];
}
