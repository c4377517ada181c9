import { entityColumns, isTextInput, type ServedModel } from '../../contracts/serving.ts';
import type { OutputColumns } from '../../lib/onnx/tabular-session.ts';
import type { FrameLayout, OutputType } from '../../lib/predictions/records.ts';

/** What records of one version look like, with and without its features. */
interface Layouts {
  readonly endpoint: string;
  readonly whole: FrameLayout;
  readonly answers: FrameLayout;
}

const typeOf = (column: OutputColumns['columns'][number]): OutputType => {
  if (column.kind === 'string') return 'string';
  return column.data instanceof Float64Array ? 'double' : 'float';
};

function layoutsOf(endpoint: string, served: ServedModel, { columns }: OutputColumns): Layouts {
  const { inputs } = served.signature;
  const answers: FrameLayout = {
    endpoint,
    version: served.version,
    digest: served.onnx.sha256,
    numbers: [],
    moments: [],
    texts: [],
    outputs: columns.map((column) => ({ name: column.name, type: typeOf(column) })),
  };
  const named = (wanted: (kind: (typeof inputs)[number]['kind']) => boolean): string[] =>
    inputs.filter(({ kind }) => wanted(kind)).map(({ name }) => name);
  return {
    endpoint,
    answers,
    whole: {
      ...answers,
      numbers: named((kind) => kind === 'numeric' || kind === 'boolean'),
      moments: named((kind) => kind === 'datetime'),
      texts: named(isTextInput),
      ...(served.views && {
        entities: entityColumns(served),
        views: served.views.map(({ name }) => name),
      }),
    },
  };
}

/** The layouts of the versions that are served; forgotten with them. */
export class RecordLayouts {
  readonly #known = new WeakMap<ServedModel, Layouts>();

  of(endpoint: string, served: ServedModel, outputs: OutputColumns, features: boolean): FrameLayout {
    let layouts = this.#known.get(served);
    if (layouts === undefined || layouts.endpoint !== endpoint || !fits(layouts.answers, outputs)) {
      layouts = layoutsOf(endpoint, served, outputs);
      this.#known.set(served, layouts);
    }
    return features ? layouts.whole : layouts.answers;
  }
}

/** A graph may give doubles for one request and floats for the next. */
function fits({ outputs }: FrameLayout, { columns }: OutputColumns): boolean {
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i];
    if (column && outputs[i]?.type !== typeOf(column)) return false;
  }
  return outputs.length === columns.length;
}
