/**
 * Frequent given names and family names of a dozen languages, small and without accents, written down from the
 * public statistics of names (census and registry offices). Far from all names: a column of people is told by the
 * share of its values that hit, which needs one in ten.
 */
const GIVEN = `
james john robert michael william david richard joseph thomas charles christopher daniel matthew anthony mark donald
steven paul andrew joshua kenneth kevin brian george timothy ronald edward jason jeffrey ryan jacob gary nicholas eric
jonathan stephen larry justin scott brandon benjamin samuel gregory alexander patrick frank raymond jack dennis jerry
tyler aaron jose adam nathan henry zachary douglas peter kyle noah ethan jeremy walter christian keith roger terry
austin sean gerald carl harold dylan arthur lawrence jordan jesse bryan billy bruce gabriel joe logan alan juan albert
willie elijah wayne randy vincent mason roy ralph bobby russell bradley philip eugene liam oliver lucas harry charlie
oscar leo archie alfie freddie mary patricia jennifer linda elizabeth barbara susan jessica sarah karen lisa nancy
betty sandra margaret ashley kimberly emily donna michelle carol amanda melissa deborah stephanie rebecca sharon laura
cynthia kathleen amy angela shirley brenda emma anna pamela nicole samantha katherine christine helen debra rachel
carolyn janet maria catherine heather diane olivia julie joyce victoria ruth virginia lauren kelly christina joan evelyn
judith andrea hannah megan cheryl jacqueline martha madison teresa gloria sara janice ann kathryn abigail sophia frances
jean alice judy isabella julia grace amber denise danielle marilyn beverly charlotte natalie theresa diana brittany
doris kayla alexis lori marie amelia isla ava lily freya poppy chloe ella florence
hans peter klaus jurgen wolfgang dieter uwe gunter horst bernd stefan andreas markus matthias thorsten torsten jan tim
lukas leon finn jonas luis paul felix maximilian moritz elias tobias sebastian florian dominik philipp fabian marcel
ursula monika petra sabine renate helga karin brigitte ingrid gabriele claudia birgit heike katrin kathrin anja silke
tanja nadine katharina lena lea mia sofia marie johanna leonie nele greta clara frieda mathilda ida
jean pierre michel andre philippe alain bernard jacques daniel christophe patrick nicolas laurent julien thierry
olivier pascal eric sebastien frederic stephane antoine guillaume maxime alexandre romain hugo theo louis jules gabin
nathalie isabelle sylvie catherine valerie christine sandrine stephanie celine aurelie caroline virginie camille manon
lea chloe ines jade louise juliette oceane mathilde amelie francoise monique jacqueline
antonio jose manuel francisco juan david javier jesus daniel carlos alejandro miguel rafael pedro pablo angel sergio
fernando luis jorge alberto alvaro diego adrian ivan ruben enrique ramon vicente raul mario eduardo ricardo hugo
carmen josefa isabel dolores pilar teresa ana francisca laura antonia mercedes rosa cristina marta lucia elena paula
raquel rocio beatriz silvia irene alba julia sofia martina valentina guadalupe ximena fernanda andrea
giuseppe giovanni mario luigi antonio francesco angelo vincenzo pietro salvatore carlo franco domenico bruno paolo
marco andrea alessandro lorenzo matteo luca davide simone federico riccardo stefano roberto massimo fabio
giuseppina rosa angela giovanna lucia francesca caterina paola elena chiara sara giulia martina alessia federica
valentina silvia simona alessandra aurora ginevra beatrice
joao jose carlos paulo pedro lucas luiz marcos luis gabriel rafael daniel marcelo bruno eduardo felipe raimundo rodrigo
thiago matheus guilherme gustavo leonardo vinicius miguel arthur davi heitor bernardo enzo murilo tiago diogo nuno rui
ana francisca antonia adriana juliana marcia fernanda patricia aline sandra camila amanda bruna jessica leticia julia
luciana vanessa mariana gabriela vera vitoria larissa beatriz carla joana catarina ines rita helena alice laura manuela
johannes cornelis hendrik willem gerrit jacobus sander bram daan sem thijs ruben lars joost pieter anna maria johanna
cornelia wilhelmina sanne lotte anouk fleur femke marieke
lars anders johan per karl erik nils olof gustav axel bjorn magnus hakan ulf oskar viktor emil anna eva kristina
birgitta elisabeth margareta karin ingrid astrid linnea elsa maja ebba sigrid mette kirsten hanne jens soren henrik
niels morten rasmus ole knut kjell trond aino juhani matti pekka timo antti
jan andrzej piotr krzysztof stanislaw tomasz pawel jozef marcin marek michal grzegorz jerzy tadeusz adam lukasz
zbigniew ryszard kazimierz wojciech jakub mateusz anna maria katarzyna malgorzata agnieszka krystyna barbara ewa
elzbieta zofia janina teresa joanna magdalena monika jadwiga danuta irena halina helena zuzanna
ivan dmitri dmitry sergei sergey vladimir alexei aleksei nikolai mikhail andrei igor oleg yuri boris olga tatiana
natalia irina svetlana elena ekaterina anastasia ludmila galina
mohammed muhammad mohamed ahmed ali omar hassan hussein ibrahim yusuf mustafa abdullah fatima aisha zainab maryam khadija
mehmet murat emre burak huseyin osman ayse fatma zeynep elif emine hatice
rahul amit raj rajesh sanjay vijay suresh ramesh anil arjun ravi sunil priya anjali pooja neha kavita sunita deepa
wei ming jing hiroshi takashi kenji yuki haruto sakura yoko minho jihoon
иван дмитрий сергей александр андрей алексей владимир николай михаил юрий ольга татьяна наталья ирина светлана елена
екатерина анастасия мария анна
`;
const FAMILY = `
smith johnson williams brown jones garcia miller davis rodriguez martinez hernandez lopez gonzalez wilson anderson
thomas taylor moore jackson martin lee perez thompson white harris sanchez clark ramirez lewis robinson walker young
allen king wright scott torres nguyen hill flores green adams nelson baker hall rivera campbell mitchell carter roberts
gomez phillips evans turner diaz parker cruz edwards collins reyes stewart morris morales murphy cook rogers gutierrez
ortiz morgan cooper peterson bailey reed kelly howard ramos kim cox ward richardson watson brooks chavez wood james
bennett gray mendoza ruiz hughes price alvarez castillo sanders patel myers long ross foster jimenez powell jenkins
perry russell sullivan bell coleman butler henderson barnes gonzales fisher vasquez simmons romero jordan patterson
alexander hamilton graham reynolds griffin wallace moreno west cole hayes bryant herrera gibson ellis tran medina
davies wood shaw ali khan singh kaur begum kumar sharma gupta verma reddy
muller schmidt schneider fischer weber meyer wagner becker schulz hoffmann schafer koch bauer richter klein wolf
schroder neumann schwarz zimmermann braun kruger hofmann hartmann lange schmitt werner schmitz krause meier lehmann
schmid schulze maier kohler herrmann konig walter mayer huber kaiser fuchs peters lang scholz moller weiss jung hahn
schubert vogel friedrich keller gunther frank berger winkler roth beck lorenz baumann franke albrecht schuster simon
martin bernard dubois thomas robert richard petit durand leroy moreau simon laurent lefebvre michel garcia david
bertrand roux vincent fournier morel girard andre lefevre mercier dupont lambert bonnet francois martinez legrand
garnier faure rousseau blanc guerin muller henry roussel nicolas perrin morin mathieu clement gauthier dumont
fernandez gonzalez rodriguez lopez martinez sanchez perez gomez martin jimenez ruiz hernandez diaz moreno munoz alvarez
romero alonso gutierrez navarro torres dominguez vazquez ramos gil ramirez serrano blanco molina morales suarez ortega
delgado castro ortiz rubio marin sanz nunez iglesias medina garrido cortes castillo santos lozano guerrero cano prieto
rossi russo ferrari esposito bianchi romano colombo ricci marino greco bruno gallo conti deluca mancini costa giordano
rizzo lombardi moretti barbieri fontana santoro mariani rinaldi caruso ferrara galli martini leone longo gentile
silva santos oliveira souza sousa rodrigues ferreira alves pereira lima gomes costa ribeiro martins carvalho almeida
lopes soares fernandes vieira barbosa rocha dias nascimento andrade moreira nunes marques machado mendes freitas
cardoso ramos goncalves santana teixeira melo reis macedo
jansen bakker visser smit meijer mulder bos vos peters hendriks dekker brouwer dijkstra smits graaf meer linden
andersson johansson karlsson nilsson eriksson larsson olsson persson svensson gustafsson pettersson jonsson hansson
bengtsson lindberg lindstrom nielsen jensen hansen pedersen andersen christensen larsen sorensen rasmussen jorgensen
olsen johansen berg haugen virtanen korhonen makinen nieminen
nowak kowalski wisniewski wojcik kowalczyk kaminski lewandowski zielinski szymanski wozniak dabrowski kozlowski
jankowski mazur kwiatkowski krawczyk kaczmarek piotrowski grabowski
ivanov ivanova petrov petrova smirnov smirnova kuznetsov popov sokolov lebedev kozlov novikov morozov volkov
yilmaz kaya demir celik sahin yildiz ozturk aydin arslan dogan
wang li zhang liu chen yang huang zhao wu zhou xu sun ma zhu hu guo he lin gao luo sato suzuki takahashi tanaka
watanabe ito yamamoto nakamura kobayashi kato park choi jung kang cho yoon
иванов иванова смирнов смирнова кузнецов кузнецова попов попова васильев петров петрова соколов соколова михайлов
новиков новикова федоров морозов волков алексеев лебедев семенов егоров павлов козлов степанов николаев орлов
`;

const setOf = (words: string): ReadonlySet<string> => new Set(words.trim().split(/\s+/));

export const GIVEN_NAMES = setOf(GIVEN);
export const FAMILY_NAMES = setOf(FAMILY);

/** Family names of Japan, China and Korea, which stand first. */
export const EAST_ASIAN_FAMILY =
  /^(?:佐藤|鈴木|高橋|田中|伊藤|渡辺|渡邊|山本|中村|小林|加藤|吉田|山田|佐々木|山口|松本|井上|木村|林|斎藤|斉藤|清水|山崎|森|池田|橋本|阿部|石川|山下|中島|石井|小川|前田|岡田|長谷川|藤田|後藤|近藤|村上|遠藤|青木|坂本|福田|太田|西村|藤井|金子|岡本|藤原|三浦|中野|中川|原田|松田|竹内|小野|田村|中山|和田|石田|森田|上田|原|内田|柴田|酒井|宮崎|横山|高木|安藤|宮本|大野|小島|工藤|谷口|今井|高田|増田|丸山|杉山|村田|大塚|新井|小山|平野|藤本|河野|上野|野口|武田|松井|千葉|菅原|岩崎|木下|久保|王|李|张|張|刘|陈|陳|杨|楊|黄|赵|趙|吴|周|徐|孙|马|朱|胡|郭|何|高|罗|郑|梁|谢|宋|唐|许|韩|冯|邓|曹|彭|曾|김|이|박|최|정|강|조|윤|장|임|한|오|서|신|권|황|안|송|류|전|홍)/;
