export const windowPage = async (..._: unknown[]): Promise<string> => '<!doctype html>';
export const alertPlot = async (..._: unknown[]): Promise<string | null> => null;
