/** What an ordinary day costs in ever larger collections: of notes, and of decks. */
import { keptCollection, type Shape } from '../collections.ts';
import { median } from '../figures.ts';
import type { ServerProcess } from '../server-process.ts';
import { User } from '../user.ts';
import type { Curve, Point } from './curve.ts';

const DAYS = 40;
const WARM_UP_DAYS = 3;

export async function notesCurve(server: ServerProcess, sizes: readonly number[], say: (text: string) => void): Promise<Curve> {
  return { title: 'Notes in the collection', of: 'notes', points: await points(server, sizes, (notes) => ({ notes, reviews: 2 }), say) };
}

export async function decksCurve(server: ServerProcess, sizes: readonly number[], say: (text: string) => void): Promise<Curve> {
  return { title: 'Decks in the collection', of: 'decks', points: await points(server, sizes, (decks) => ({ notes: 20_000, decks, reviews: 2 }), say) };
}

async function points(server: ServerProcess, sizes: readonly number[], shapeOf: (size: number) => Shape, say: (text: string) => void): Promise<Point[]> {
  const all: Point[] = [];
  for (const size of sizes) {
    const shape = shapeOf(size);
    const { packed, facts } = await keptCollection(`notes-${shape.notes}-decks-${shape.decks ?? 10}`, shape, say);
    say(`20 reviews in ${JSON.stringify(shape)}`);
    const user = new User('ada', server.port);
    await server.start(`collection-${shape.notes}-${shape.decks}`, [user]);
    await user.signIn();
    await user.upload(packed, facts);
    const waits: number[] = [];
    for (let day = 0; day < WARM_UP_DAYS; day++) await user.daily()();
    server.resetPeak();
    const cpu = server.cpuMillis();
    for (let day = 0; day < DAYS; day++) waits.push(await user.daily()());
    all.push({ size, costs: { 'ms a sync': median(waits), 'CPU ms a sync': (server.cpuMillis() - cpu) / DAYS, 'peak memory, MiB': server.peakMiB() } });
    await server.stop();
  }
  return all;
}
