/** Colours that people with colour-vision deficiencies can tell apart (Okabe and Ito 2008). */
export const COLORS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9'] as const;
export const BLUE = COLORS[0];
export const ORANGE = COLORS[1];
